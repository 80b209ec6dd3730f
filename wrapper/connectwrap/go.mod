module github.com/holdfast-go/holdfast/wrapper/connectwrap

go 1.25.0

require (
	connectrpc.com/connect v1.21.0
	github.com/holdfast-go/holdfast v0.0.0
	google.golang.org/protobuf v1.36.12
)

require github.com/cenkalti/backoff/v4 v4.3.0 // indirect

replace github.com/holdfast-go/holdfast => ../../
