// Package grpcsettings is what the program benchmarks/grpcstacks and the list
// of stacks, which is built without it, both know of its stacks.
package grpcsettings

// The names of the stacks.
const (
	Outlier  = "grpc-outlier"
	Holdfast = "holdfast-grpc"
)

// Package is the program that has the stacks.
const Package = "github.com/holdfast-go/holdfast/benchmarks/grpcstacks"

// Service and its methods, all of which take and return a StringValue: the
// request's ID, the node's.
const (
	Service = "hello.Hello"
	Get     = "/" + Service + "/Get"
	Post    = "/" + Service + "/Register"
	List    = "/" + Service + "/List"
)

// OutlierConfig is grpc-outlier's service config.
const OutlierConfig = `{
  "loadBalancingConfig": [{"outlier_detection_experimental": {
    "interval": "1s", "baseEjectionTime": "5s", "maxEjectionTime": "30s", "maxEjectionPercent": 50,
    "failurePercentageEjection": {"enforcementPercentage": 100, "minimumHosts": 3, "requestVolume": 20},
    "childPolicy": [{"round_robin": {}}]
  }}],
  "methodConfig": [{
    "name": [{"service": "` + Service + `", "method": "Get"}, {"service": "` + Service + `", "method": "List"}],
    "retryPolicy": {"maxAttempts": 3, "initialBackoff": "0.025s", "maxBackoff": "1s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}
  }]
}`

// Infos are what is printed of the stacks: what they are, and how they are
// configured.
var Infos = map[string][2]string{
	Outlier: {
		"grpc-go with outlier detection over round_robin and a retry policy, on gRPC's own transport",
		"gRFC A50's outlier detection, with what helps it in short runs on few nodes: interval 1 s (default 10 s), baseEjectionTime 5 s (30 s), " +
			"maxEjectionPercent 50 (10), failure percentage enforced (0), volume 20 (50), hosts 3 (5), and " +
			"no ejection by success rate, since of five nodes both would eject the same one and count it twice; gRFC A6's retry policy for the methods that " +
			"are safe (what was certainly not processed gRPC repeats for all), 3 attempts, pauses from 25 ms; gRPC has no timeout of one attempt:\n" + OutlierConfig,
	},
	Holdfast: {
		"holdfast on gRPC (wrapper/grpcwrap), default settings, POSTs without a key, on gRPC's own transport",
		"grpcwrap.DialOptions(grpcwrap.Config{Nodes: selector.Static(…), Methods: Get and List are Safe})",
	},
}
