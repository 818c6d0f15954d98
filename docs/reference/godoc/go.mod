module github.com/phantomdb/libphantomdb/docs/reference/godoc

go 1.21
