module github.com/phantomdb/libphantomdb/benches/go

go 1.21

require (
	github.com/jackc/puddle/v2 v2.2.2
	github.com/phantomdb/libphantomdb/bindings/go v0.0.0
)

require golang.org/x/sync v0.1.0 // indirect

replace github.com/phantomdb/libphantomdb/bindings/go => ../../bindings/go
