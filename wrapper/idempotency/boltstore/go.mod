module github.com/holdfast-go/holdfast/wrapper/idempotency/boltstore

go 1.25.0

require (
	github.com/holdfast-go/holdfast v0.0.0
	go.etcd.io/bbolt v1.5.0
)

require (
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/holdfast-go/holdfast => ../../../
