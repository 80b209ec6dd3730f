module github.com/holdfast-go/holdfast/resilience/settingsfile

go 1.25.0

require (
	github.com/holdfast-go/holdfast v0.0.0
	go.yaml.in/yaml/v3 v3.0.6
)

require github.com/cenkalti/backoff/v4 v4.3.0 // indirect

replace github.com/holdfast-go/holdfast => ../../
