module github.com/phantomdb/libphantomdb/bindings/go

go 1.21
