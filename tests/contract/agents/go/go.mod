module github.com/phantomdb/libphantomdb/tests/contract/agents/go

go 1.21

require github.com/phantomdb/libphantomdb/bindings/go v0.0.0

replace github.com/phantomdb/libphantomdb/bindings/go => ../../../../bindings/go
