package promwrap

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const ms = time.Millisecond

var errOp = errors.New("the op's own error")

func newCollector(t testing.TB, cfg Config) (*Collector, *prometheus.Registry) {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	return c, r
}

// values are what Prometheus is told: by the metric's name and its labels'
// values; of a histogram, how many there were.
func values(t testing.TB, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got, labels := make(map[string]float64), documented(t) // in the order of the documentation
	for _, f := range families {
		if labels[f.GetName()] == nil {
			t.Fatalf("%s is not documented", f.GetName())
		}
		for _, m := range f.Metric {
			key := strings.TrimPrefix(f.GetName(), "holdfast_")
			for _, name := range labels[f.GetName()] {
				key += " " + label(m, name)
			}
			switch {
			case m.Histogram != nil:
				got[key] = float64(m.Histogram.GetSampleCount())
			case m.Counter != nil:
				got[key] = m.Counter.GetValue()
			default:
				got[key] = m.Gauge.GetValue()
			}
		}
	}
	return got
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.Label {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return "?"
}

func wantValues(t *testing.T, r *prometheus.Registry, want map[string]float64) {
	t.Helper()
	got := values(t, r)
	for key, v := range want {
		if g, ok := got[key]; !ok || g != v {
			t.Errorf("%s is %v (there: %v), want %v", key, g, ok, v)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func newClient(t testing.TB, b *resiliencetest.Bench, c *Collector, cfg resilience.Config) *resilience.Client {
	t.Helper()
	cfg.Observer, cfg.Strategy = c, "round-robin"
	client, err := b.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func do(b *resiliencetest.Bench, c *resilience.Client, hint resilience.Hint, op resilience.Op) (err error) {
	b.Run(func() { err = c.Do(context.Background(), hint, op) })
	return err
}

func well() resiliencetest.Script { return resiliencetest.Steps(resiliencetest.Reply{After: ms}) }

func ill(o resilience.Outcome) resiliencetest.Script {
	return resiliencetest.Steps(resiliencetest.Reply{After: ms, Outcome: o, Err: errOp})
}
