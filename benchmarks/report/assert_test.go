package report

import (
	"strings"
	"testing"
)

func mustParse(t *testing.T, compare bool, texts ...string) (list []*Assertion) {
	t.Helper()
	for _, text := range texts {
		a, err := ParseAssertion(text, compare)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return list
}

func TestAssertions(t *testing.T) {
	s := &new(made).add("crash", "holdfast", 0, 3, 4).add("crash", "bare", 9).add("hang", "holdfast", 1).addInvalid("crash", "holdfast").addInvalid("hang", "bare").Summary
	for _, c := range []struct {
		text string
		want string // what is broken; empty: nothing
	}{
		{"failed<=9", ""},
		{"failed==0", "crash/holdfast/2: failed is 3|crash/holdfast/3: failed is 4|crash/bare/1: failed is 9|hang/holdfast/1: failed is 1"},
		{"holdfast: failed<=4", ""},
		{"holdfast: failed<4", "crash/holdfast/3: failed is 4"},
		{"crash/holdfast: failed <= bound", ""},
		{"hang: failed>1", "hang/holdfast/1: failed is 1"},
		{"cr*/b*: failed!=9", "crash/bare/1: failed is 9"},
		{"failed<=bound", "crash/bare/1: bound is 4, failed is 9"},
		{"p99<=2*baseline", "crash/bare/1: baseline is 30, p99 is 90"},
		{"p99Ms<=3*baseline", ""},
		{"bare: p99>0.09s", "crash/bare/1: p99 is 90"},
		{"bare: p99>=90ms", ""},
		{"bare: p99 - 10*failed == 0", ""},
		{"bare: -(failed + 1) / 2 == -5", ""},
		{"bare: 2 + 3 * 4 == failed + 5", ""},
		{"bare: 20 - 8 - 3 == failed", ""},
		{"crash/holdfast: median(failed) <= .75*bound", ""},
		{"crash/holdfast: median(failed) == 4", "crash/holdfast: median(failed) is 3"},
		{"crash/holdfast: failed <= median(failed)", "crash/holdfast/3: failed is 4, median(failed) is 3"},
		{"crash/holdfast: median(failed / bound) < 1", ""},
		{"timeToEject<500", "crash/holdfast/1: timeToEject: there is none: it did not happen, or the stack does not tell|" +
			"crash/holdfast/2: timeToEject: there is none: it did not happen, or the stack does not tell|" +
			"crash/holdfast/3: timeToEject: there is none: it did not happen, or the stack does not tell|" +
			"crash/bare/1: timeToEject: there is none: it did not happen, or the stack does not tell|" +
			"hang/holdfast/1: timeToEject: there is none: it did not happen, or the stack does not tell"},
		{"hang/holdfast: p99/(failed-1) > 0", "hang/holdfast/1: no number: failed is 1, p99 is 10"},
		// What says nothing has failed.
		{"nosuch: failed==0", "no run matches"},
		{"hang/bare: failed==777", "no run matches and is valid (1 are not)"},
		{"p99<=bound", "no run matches that has a bound of p99 and is valid (2 are not)"},
	} {
		var want []string
		for line := range strings.SplitSeq(c.want, "|") {
			if line != "" {
				want = append(want, c.text+": "+line)
			}
		}
		if got := Check(mustParse(t, false, c.text), s); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got\n  %s\nwant\n  %s", c.text, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
	if got := Check(mustParse(t, false, "failed<=9", "failed==1", "requests==1000"), s); len(got) != 4 {
		t.Errorf("several: %q", got)
	}
}

func TestAssertionsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "want a number or a name",
		"failed":                      "want one of == != <= >= < >",
		"failed=0":                    "at 7: want one of ==",
		"failed==":                    "the expression ends",
		"failed==0 0":                 `"0" is too much`,
		"failed==0==0":                "is too much",
		"fail==0":                     `unknown name "fail": want one of requests, failed,`,
		"1==1":                        "names no metric",
		"bound==1":                    "bound of what?",
		"failed<=baseline":            "failed has no baseline",
		"failed<=old":                 "old is known to bench compare only",
		"p99<=5m":                     `"m" is no unit: want ms or s`,
		"p99<=1.2.3":                  `"1.2.3" is no number`,
		"p99<=(1":                     "want )",
		"median(median(p99))<=1":      "a median within a median",
		"median p99<=1":               "want ( after median",
		"a/b/c: failed==0":            "want SCENARIO, STACK or SCENARIO/STACK",
		"[: failed==0":                "before the colon",
		": failed==0":                 "before the colon",
		"failed==0;":                  "is too much",
		strings.Repeat("(", 2000):     "want at most 1000",
		"failed<=" + "\x00":           "want a number or a name",
		"failed<=\xff\xfe\n\ninvalid": "want a number or a name",
	} {
		_, err := ParseAssertion(text, false)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q in one line", text, err, want)
		}
	}
}

// What is read can be printed and read again, evaluating it does not panic,
// and an error is one line.
func FuzzAssertion(f *testing.F) {
	for _, text := range []string{
		"failed==0", "holdfast: p99<=2*baseline", "crash/hold*: median(p99)<=1.25*bound", "-(p99-1)/0!=2s", "old>worse+better", "[a: failed==0",
		"timeToEject > 3ms", "a/b: duplicated < -1",
	} {
		f.Add(text)
	}
	s := &new(made).add("crash", "holdfast", 0, 3, 4).add("crash", "bare", 9).Summary
	c, err := Compare(s, s)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAssertion(text, true)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%q: more than a line: %v", text, err)
			}
			return
		}
		_ = c.Check([]*Assertion{a})
		again := a.left.String() + a.op + a.right.String()
		b, err := ParseAssertion(again, true)
		if err != nil {
			t.Fatalf("%q: printed %q: %v", text, again, err)
		}
		if got := b.left.String() + b.op + b.right.String(); got != again {
			t.Errorf("%q: printed %q, then %q", text, again, got)
		}
	})
}
