package etcd

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/selector"
)

// lists is an etcd that answers, but has no watches.
type lists struct {
	clientv3.KV
	clientv3.Watcher
	n int
}

func (l *lists) Get(context.Context, string, ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	l.n++
	return &clientv3.GetResponse{Header: &pb.ResponseHeader{}, Kvs: []*mvccpb.KeyValue{{Key: []byte("/users/a"), Value: []byte("10.0.0.1:80")}}}, nil
}

func (l *lists) Watch(context.Context, string, ...clientv3.OpOption) clientv3.WatchChan {
	ended := make(chan clientv3.WatchResponse)
	close(ended)
	return ended
}

// TestWatchPauses: where only the watch fails, etcd is not asked for all keys
// over and over.
func TestWatchPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, failed := new(lists), 0
		client := clientv3.NewCtxClient(t.Context())
		client.KV, client.Watcher = l, l
		s := &Source{Client: client, Prefix: "/users/", Clock: new(clock.Real)}
		err := s.Watch(func(_ []selector.Node, err error) {
			if errors.Is(err, errEnded) {
				failed++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Minute)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if l.n < 60 || l.n > 120 || failed < 60 {
			t.Errorf("%d lists in ten minutes, %d failures told: want one in 5 to 10 s at last", l.n, failed)
		}
	})
}
