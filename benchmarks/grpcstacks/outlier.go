package main

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	_ "google.golang.org/grpc/xds" // outlier_detection_experimental

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/grpcsettings"
)

// outlier is grpc-go's outlier detection and retry policy.
type outlier struct{ overGRPC }

// Name implements harness.Stack.
func (outlier) Name() string { return grpcsettings.Outlier }

// Info implements harness.Stack.
func (outlier) Info() harness.Info { return info(grpcsettings.Outlier) }

// Dial implements harness.Stack.
func (outlier) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	var state resolver.State
	for _, n := range cfg.Nodes {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: n.Addr}}})
	}
	res := manual.NewBuilderWithScheme("nodes")
	res.InitialState(state)
	listening.add(cfg)
	conn, err := grpc.NewClient("nodes:///hello", plaintext, grpc.WithResolvers(res), grpc.WithDefaultServiceConfig(grpcsettings.OutlierConfig))
	if err != nil {
		return nil, err
	}
	return caller{conn}, nil
}

// log reads from what grpc-go logs which client has ejected what: it says so
// nowhere else. Its channels are numbered as they are made, from 1.
type log struct {
	grpclog.LoggerV2

	mu      sync.Mutex
	clients []harness.ClientConfig
}

var listening log

func (l *log) add(cfg harness.ClientConfig) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.LoggerV2 == nil {
		l.LoggerV2 = grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)
		grpclog.SetLoggerV2(l)
	}
	l.clients = append(l.clients, cfg)
}

var ejection = regexp.MustCompile(`Channel #(\d+)\].* Subchannel (ejected|unejected): .*Addr: "([^"]+)"`)

// Infoln implements grpclog.LoggerV2: what channelz says comes this way.
func (l *log) Infoln(args ...any) {
	m := ejection.FindStringSubmatch(fmt.Sprint(args...))
	if m == nil {
		return
	}
	number, _ := strconv.Atoi(m[1])
	l.mu.Lock()
	defer l.mu.Unlock()
	if number < 1 || number > len(l.clients) {
		return
	}
	cfg := l.clients[number-1]
	kind := harness.Ejected
	if m[2] == "unejected" {
		kind = harness.Readmitted
	}
	for _, n := range cfg.Nodes {
		if n.Addr == m[3] {
			cfg.Journal.Add(harness.Entry{Kind: kind, Node: n.ID, End: time.Now(), Detail: "outlier detection"})
		}
	}
}
