module hostile

go 1.21

require github.com/phantomdb/libphantomdb/bindings/go v0.0.0

replace github.com/phantomdb/libphantomdb/bindings/go => ../../../bindings/go
