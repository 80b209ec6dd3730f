package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience/trace"
)

// imported runs an import and reads what it has written.
func imported(t testing.TB, im Import, log string) ([]trace.Record, Imported) {
	t.Helper()
	var out bytes.Buffer
	done, err := im.Run(strings.NewReader(log), trace.NewWriter(&out))
	if err != nil {
		t.Fatal(err)
	}
	var list []trace.Record
	for r := trace.NewReader(&out); ; {
		x, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list, done
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, x)
	}
}

func brief(x trace.Record) string {
	return fmt.Sprintf("%s %s %s/%s %q %s #%d %v", x.Start.UTC().Format("15:04:05.000"), x.Latency, x.Service, x.Node, x.Method, x.Outcome, x.Attempt, x.Client)
}

const nginxLine = `192.0.2.7 - - [26/Nov/2026:12:00:10 +0000] "GET /user/42?x=1 HTTP/1.1" 200 612 "-" "curl/8.0 (x; \x22y\x22)" `

func TestImport(t *testing.T) {
	rows := []struct {
		name, log string
		im        Import
		want      []string
	}{
		{
			"csv, with the usual names", "time,node,latency,status,method\n2026-11-26T12:00:10Z,a,0.5,200,get\n1795694410.5,b,1.5ms,503,\"put,x\"\n",
			Import{Format: "csv"},
			[]string{`12:00:09.500 500ms /a "get" succeeded #1 `, `12:00:10.498 1.5ms /b "put,x" ambiguous #1 `},
		},
		{
			"csv, with names of its own", "when,who,took,rc,from,svc,try\n1795694410000,a,20,ok,web-1,users,1\n1795694410000,a,20,error,web-2,users,2\n",
			Import{
				Format: "csv", Unit: time.Millisecond, Started: true,
				Columns: map[string]string{"time": "when", "node": "who", "latency": "took", "outcome": "rc", "client": "from", "service": "svc", "attempt": "try"},
			},
			[]string{`12:00:10.000 20ms users/a "" succeeded #1 web-1`, `12:00:10.000 20ms users/a "" ambiguous #2 web-2`},
		},
		{
			"nginx", nginxLine + "10.0.0.1:80 200 0.020\n",
			Import{Format: "nginx", Given: trace.Record{Client: "proxy"}},
			[]string{`12:00:09.980 20ms /10.0.0.1:80 "GET /user/*" succeeded #1 proxy`},
		},
		{
			"nginx, tried again at another node, of another group", nginxLine + "10.0.0.1:80, 10.0.0.2:80 : unix:/s 502, 504 : 200 0.000, 0.250 : 0.010\n",
			Import{Format: "nginx"},
			[]string{
				`12:00:09.740 0s /10.0.0.1:80 "GET /user/*" ambiguous #1 `, `12:00:09.740 250ms /10.0.0.2:80 "GET /user/*" ambiguous #2 `,
				`12:00:09.990 10ms /unix:/s "GET /user/*" succeeded #3 `,
			},
		},
		{
			"nginx, another format", "1795694410.250|0.100|10.0.0.1:80|404|GET /a HTTP/1.0\n",
			Import{Format: "nginx", Template: "$msec|$request_time|$upstream_addr|$status|$request"},
			[]string{`12:00:10.150 100ms /10.0.0.1:80 "GET /a" failed #1 `},
		},
		{
			"combined, the caller left", nginxLine[:len(nginxLine)-1] + "\n",
			Import{Format: "combined", Given: trace.Record{Node: "vip"}},
			[]string{`12:00:10.000 0s /vip "GET /user/*" succeeded #1 `},
		},
		{
			"haproxy", `Nov 26 12:00:10 h haproxy[7]: 192.0.2.7:333 [26/Nov/2026:12:00:10.655] front back/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {a|b} {c} "GET /i.html HTTP/1.1"` + "\n" +
				`x haproxy[7]: 192.0.2.7:333 [26/Nov/2026:12:00:10.655] front~ back/srv2 0/0/-1/-1/3003 503 213 - - SC-- 1/1/1/1/+3 0/0 "POST /x HTTP/1.1"` + "\n" +
				`x haproxy[7]: 192.0.2.7:333 [26/Nov/2026:12:00:10.655] front back/<NOSRV> 0/-1/-1/-1/0 503 213 - - SQ-- 1/1/1/1/0 0/0 "POST /x HTTP/1.1"` + "\n" +
				`x haproxy[7]: 192.0.2.7:333 [26/Nov/2026:12:00:10.655] front back/srv1 0/0/1/-1/50 -1 0 - - CH-- 1/1/1/1/0 0/0 "POST /x HTTP/1.1"` + "\n",
			Import{Format: "haproxy"},
			[]string{
				`12:00:10.665 99ms /back/srv1 "GET /i.html" succeeded #1 `, `12:00:10.655 3.003s /back/srv2 "POST /x" not sent #4 `,
				`12:00:10.655 0s / "POST /x" rejected #1 `, `12:00:10.655 50ms /back/srv1 "POST /x" abandoned #1 `,
			},
		},
	}
	for _, row := range rows {
		list, done := imported(t, row.im, row.log)
		var got []string
		for _, x := range list {
			got = append(got, brief(x))
		}
		if strings.Join(got, "\n") != strings.Join(row.want, "\n") || done.Skipped != 0 {
			t.Errorf("%s: %+v\n%s\nwant\n%s", row.name, done, strings.Join(got, "\n"), strings.Join(row.want, "\n"))
		}
	}
}

// Rows that cannot be read are skipped, counted, and the first ones named.
func TestImportSkips(t *testing.T) {
	log := "time,latency,status\nnever,1,200\n1795694410,-1,200\n1795694410,1,2xx\n1795694410,1\n1795694410,NaN,200\n\"1795694410,1,200\n"
	list, done := imported(t, Import{Format: "csv"}, "time,latency,status\n1795694410,1,200\n"+log[20:])
	if len(list) != 1 || done.Records != 1 || done.Skipped != 6 || len(done.Reasons) != 5 || !strings.HasPrefix(done.Reasons[0], "line 3: time") {
		t.Errorf("%d records, %+v", len(list), done)
	}
	_, done = imported(t, Import{Format: "common"}, strings.Repeat("x", 3<<20)+"\nwhat\n")
	if done.Skipped != 2 || done.Reasons[1] != "line 2: not in this format" {
		t.Errorf("%+v", done)
	}
}

func TestImportRefuses(t *testing.T) {
	for _, row := range []struct {
		im       Import
		log, why string
	}{
		{Import{Format: "csv"}, "", "columns' names"},
		{Import{Format: "csv"}, "a,b\n", "no column for the time: the log has a, b"},
		{Import{Format: "csv"}, "time,b\n", "no column for the status"},
		{Import{Format: "csv", Columns: map[string]string{"time": "t", "what": "b"}}, "time,status\n", "column time=t"},
		{Import{Format: "csv", Columns: map[string]string{"what": "b"}}, "time,status\n", "column what: want one of attempt, client"},
		{Import{Format: "nginx", Template: "no variables"}, "", "want variables"},
		{Import{Format: "nginx", Template: "$a$b"}, "", "nothing between"},
		{Import{Format: "nginx", Template: "$a $a"}, "", "twice"},
	} {
		_, err := row.im.Run(strings.NewReader(row.log), trace.NewWriter(io.Discard))
		if err == nil || !strings.Contains(err.Error(), row.why) {
			t.Errorf("%+v: %v, want %q", row.im, err, row.why)
		}
	}
}

// FuzzImport holds that no log makes an import panic, or write what cannot be
// read again.
func FuzzImport(f *testing.F) {
	f.Add("time,latency,status\n1795694410,1,200\n", uint8(0))
	f.Add(nginxLine+"10.0.0.1:80, 10.0.0.2:80 : unix:/s 502, 504 : 200 0.000, 0.250 : 0.010\n", uint8(1))
	f.Add(`h: 192.0.2.7:333 [26/Nov/2026:12:00:10.655] front back/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {a|b} "GET /i.html HTTP/1.1"`+"\n", uint8(2))
	formats := []string{"csv", "nginx", "haproxy", "combined", "common"}
	f.Fuzz(func(t *testing.T, log string, format uint8) {
		var out bytes.Buffer
		done, err := Import{Format: formats[int(format)%len(formats)]}.Run(strings.NewReader(log), trace.NewWriter(&out))
		if err != nil {
			return
		}
		n := 0
		for r := trace.NewReader(&out); ; n++ {
			if _, err := r.Next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if n != done.Records {
			t.Fatalf("%d of %d records", n, done.Records)
		}
	})
}
