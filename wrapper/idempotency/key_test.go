package idempotency

import (
	"errors"
	"strings"
	"testing"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", maxKey)
	for _, tt := range []struct {
		field, key string
		err        error
	}{
		{`"k"`, "k", nil},
		{`  "k" `, "k", nil},
		{`" "`, " ", nil},
		{`"8e03978e-40d5-43e8-bc93-6894a57f9324"`, "8e03978e-40d5-43e8-bc93-6894a57f9324", nil},
		{`"a\"b\\c"`, `a"b\c`, nil},
		{`"\\"`, `\`, nil},
		{`"` + long + `"`, long, nil},
		{`"` + strings.Repeat(`\"`, maxKey) + `"`, strings.Repeat(`"`, maxKey), nil},
		{"", "", errKeyEmpty},
		{" ", "", errKeyEmpty},
		{`""`, "", errKeyEmpty},
		{`"`, "", errUnquoted},
		{`"k`, "", errUnquoted},
		{`"k\"`, "", errUnquoted},
		{`k`, "", errUnquoted},
		{`'k'`, "", errUnquoted},
		{`:azM=:`, "", errUnquoted},
		{`?1`, "", errUnquoted},
		{`"k";a=1`, "", errKeyTrailer},
		{`"k", "l"`, "", errKeyTrailer},
		{`"k" "l"`, "", errKeyTrailer},
		{`"k\""x`, "", errKeyTrailer},
		{`"\k"`, "", errKeyBinary},
		{`"k\`, "", errKeyBinary},
		{"\"k\t\"", "", errKeyBinary},
		{"\"\x00\"", "", errKeyBinary},
		{"\"\x7f\"", "", errKeyBinary},
		{"\"\xff\xfe\"", "", errKeyBinary},
		{`"ключ"`, "", errKeyBinary},
		{`"` + long + `k"`, "", errKeyTooLong},
		{`"` + strings.Repeat("k", 1<<20) + `"`, "", errKeyTooLong},
	} {
		if key, err := parseKey(tt.field, false); key != tt.key || !errors.Is(err, tt.err) {
			t.Errorf("%.40q: %.40q, %v; want %q, %v", tt.field, key, err, tt.key, tt.err)
		}
	}
	for field, want := range map[string]string{"k": "k", `"k"`: "k", "a b": "a b", `k"`: `k"`} {
		if key, err := parseKey(field, true); key != want || err != nil {
			t.Errorf("unquoted %q: %q, %v", field, key, err)
		}
	}
	for _, field := range []string{"", "\x01", "é", long + "k", `"k`} {
		if key, err := parseKey(field, true); err == nil {
			t.Errorf("unquoted %.40q: %q", field, key)
		}
	}
}

// FuzzParseKey: what is accepted is a key, and written as an sf-string again
// it is the same one.
func FuzzParseKey(f *testing.F) {
	for _, s := range []string{`"k"`, ` "k" `, `"a\"b\\"`, `"`, `""`, `"k";a`, `k`, "\"\x00\"", `"` + strings.Repeat("k", 256) + `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		key, err := parseKey(field, false)
		if err != nil {
			if key != "" {
				t.Fatalf("%q and %v", key, err)
			}
			return
		}
		if key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q is no key", key)
		}
		again, err := parseKey(`"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key)+`"`, false)
		if err != nil || again != key {
			t.Fatalf("%q is %q, %v when it is written again", key, again, err)
		}
		if bare, err := parseKey(field, true); err != nil || bare != key {
			t.Fatalf("%q is %q, %v where quotes are not wanted", key, bare, err)
		}
	})
}
