package tune

import (
	"context"
	"os"
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	b := time.Now()
	list, err := Accept(context.Background(), Acceptance{Calls: 150000, Systems: dev()})
	if err != nil {
		t.Fatal(err)
	}
	PrintVerdicts(os.Stdout, list)
	t.Log(Judge(list), time.Since(b))
}

func dev() (l []uint64) {
	for i := uint64(1); i <= 40; i++ {
		l = append(l, i)
	}
	return l
}
