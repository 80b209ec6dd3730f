package board

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"testing"
)

// rgb is a colour, each part from 0 to 1.
type rgb [3]float64

func hex(t *testing.T, text string) (c rgb) {
	t.Helper()
	for i := range c {
		n, err := strconv.ParseUint(text[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c[i] = float64(n) / 255
	}
	return c
}

// linear undoes the gamma of sRGB.
func (c rgb) linear() rgb {
	for i, x := range c {
		if x <= .04045 {
			c[i] = x / 12.92
		} else {
			c[i] = math.Pow((x+.055)/1.055, 2.4)
		}
	}
	return c
}

func (c rgb) luminance() float64 {
	l := c.linear()
	return .2126*l[0] + .7152*l[1] + .0722*l[2]
}

// contrast is that of WCAG 2: from 1 to 21.
func contrast(a, b rgb) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + .05) / (min(x, y) + .05)
}

// visions are how colours are seen: linear RGB by linear RGB, for a full
// deficiency (Machado, Oliveira, Fernandes: A Physiologically-based Model for
// Simulation of Color Vision Deficiency, 2009, table 1).
var visions = map[string][3]rgb{
	"all colours":  {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{.152286, 1.052583, -.204868}, {.114503, .786281, .099216}, {-.003882, -.048116, 1.051998}},
	"deuteranopia": {{.367322, .860646, -.227968}, {.280085, .672501, .047413}, {-.011820, .042940, .968881}},
	"tritanopia":   {{1.255528, -.076749, -.178779}, {-.078411, .930809, .147602}, {.004733, .691367, .303900}},
}

// lab is a colour as CIE L*a*b* has it, D65, from linear RGB.
func lab(c rgb) rgb {
	f := func(x float64) float64 {
		if x > 216./24389 {
			return math.Cbrt(x)
		}
		return (24389./27*x + 16) / 116
	}
	x := f((.4124*c[0] + .3576*c[1] + .1805*c[2]) / .95047)
	y := f(.2126*c[0] + .7152*c[1] + .0722*c[2])
	z := f((.0193*c[0] + .1192*c[1] + .9505*c[2]) / 1.08883)
	return rgb{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

func (c rgb) seenBy(m [3]rgb) (out rgb) {
	l := c.linear()
	for i, row := range m {
		out[i] = min(max(row[0]*l[0]+row[1]*l[1]+row[2]*l[2], 0), 1)
	}
	return lab(out)
}

func apart(a, b rgb) float64 { return math.Hypot(math.Hypot(a[0]-b[0], a[1]-b[1]), a[2]-b[2]) }

// TestColours can be read on what they stand on (WCAG 2, level AA), and told
// apart by whoever sees fewer of them. Signs and words say the same.
func TestColours(t *testing.T) {
	t.Parallel()
	css, err := assets.ReadFile("assets/board.css")
	if err != nil {
		t.Fatal(err)
	}
	for i, scheme := range []string{"light", "dark"} {
		colours := make(map[string]rgb)
		for _, m := range regexp.MustCompile(`--(\w+): light-dark\(#(\w{6}), #(\w{6})\)`).FindAllStringSubmatch(string(css), -1) {
			colours[m[1]] = hex(t, m[2+i])
		}
		for _, text := range []string{"text", "dim", "good", "half", "bad", "part"} {
			for _, ground := range []string{"back", "card"} {
				if c := contrast(colours[text], colours[ground]); c < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.2f, want 4.5", scheme, text, ground, c)
				}
			}
		}
		states := []string{"good", "half", "bad", "part"}
		for vision, m := range visions {
			for j, a := range states {
				for _, b := range states[:j] {
					if d := apart(colours[a].seenBy(m), colours[b].seenBy(m)); d < 15 {
						t.Errorf("%s, %s: %s and %s are %.1f apart, want 15", scheme, vision, a, b, d)
					}
				}
			}
		}
		if len(colours) != 9 {
			t.Error(fmt.Sprint(scheme, colours))
		}
	}
}
