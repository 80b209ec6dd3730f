package tune

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
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

// literal writes a value, of a struct the fields that are not zero.
func literal(b *strings.Builder, v reflect.Value, indent string) {
	switch v.Kind() {
	case reflect.Pointer:
		b.WriteByte('&')
		literal(b, v.Elem(), indent)
	case reflect.Struct:
		fmt.Fprintf(b, "%s{\n", v.Type())
		for i := range v.NumField() {
			if f := v.Field(i); !f.IsZero() {
				fmt.Fprintf(b, "%s\t%s: ", indent, v.Type().Field(i).Name)
				literal(b, f, indent+"\t")
				b.WriteString(",\n")
			}
		}
		b.WriteString(indent + "}")
	case reflect.Map:
		fmt.Fprintf(b, "%s{\n", v.Type())
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			fmt.Fprintf(b, "%s\t%q: ", indent, k.String())
			literal(b, v.MapIndex(k), indent+"\t")
			b.WriteString(",\n")
		}
		b.WriteString(indent + "}")
	case reflect.String:
		fmt.Fprintf(b, "%q", v.String())
	case reflect.Int64:
		if d, ok := v.Interface().(time.Duration); ok {
			b.WriteString(duration(d))
			return
		}
		fmt.Fprint(b, v.Int())
	case reflect.Uint8: // a constant of package retry
		fmt.Fprint(b, v.Uint())
	default:
		fmt.Fprintf(b, "%v", v.Interface())
	}
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
