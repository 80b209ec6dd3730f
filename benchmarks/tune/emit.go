package tune

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/holdfast-go/holdfast/resilience"
)

// YAML is the settings as they are read again.
func YAML(s resilience.Settings) (string, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(s); err != nil {
		return "", err
	}
	return b.String(), enc.Close()
}

// Go is the settings as an expression.
func Go(s resilience.Settings) string {
	var b strings.Builder
	literal(&b, reflect.ValueOf(s), "")
	return b.String()
}

// literal writes a struct's fields that are not zero.
func literal(b *strings.Builder, v reflect.Value, indent string) {
	fmt.Fprintf(b, "%s{\n", v.Type())
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsZero() {
			continue
		}
		fmt.Fprintf(b, "%s\t%s: ", indent, v.Type().Field(i).Name)
		switch x := f.Interface().(type) {
		case time.Duration:
			b.WriteString(duration(x))
		case float64:
			fmt.Fprintf(b, "%v", x)
		case string:
			fmt.Fprintf(b, "%q", x)
		default:
			if f.Kind() == reflect.Struct {
				literal(b, f, indent+"\t")
			} else {
				fmt.Fprintf(b, "%#v", x)
			}
		}
		b.WriteString(",\n")
	}
	fmt.Fprintf(b, "%s}", indent)
}

// duration writes a time as Go code.
func duration(d time.Duration) string {
	for _, unit := range []struct {
		d    time.Duration
		name string
	}{{time.Minute, "time.Minute"}, {time.Second, "time.Second"}, {time.Millisecond, "time.Millisecond"}, {time.Microsecond, "time.Microsecond"}} {
		if d%unit.d == 0 {
			if d == unit.d {
				return unit.name
			}
			return fmt.Sprintf("%d * %s", d/unit.d, unit.name)
		}
	}
	return fmt.Sprintf("%d", d)
}
