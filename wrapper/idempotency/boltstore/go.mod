module github.com/holdfast-go/holdfast/wrapper/idempotency/boltstore

go 1.25.0

require (
	github.com/holdfast-go/holdfast v0.0.0
	go.etcd.io/bbolt v1.5.0
)

require golang.org/x/sys v0.45.0 // indirect

replace github.com/holdfast-go/holdfast => ../../../
