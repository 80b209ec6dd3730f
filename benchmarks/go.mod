module github.com/holdfast-go/holdfast/benchmarks

go 1.25.0

require github.com/holdfast-go/holdfast v0.0.0

require (
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/failsafe-go/failsafe-go v0.9.8 // indirect
	github.com/sony/gobreaker/v2 v2.4.0 // indirect
)

replace github.com/holdfast-go/holdfast => ../
