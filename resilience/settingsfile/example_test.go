package settingsfile_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/settingsfile"
	"github.com/holdfast-go/holdfast/selector"
)

// A client whose thresholds are in a file, which may change while it runs.
func ExampleFile() {
	path := filepath.Join(os.TempDir(), "holdfast-example.yaml")
	if err := os.WriteFile(path, []byte("attemptTimeout: 250ms\nejection: {maxShare: 0.3}\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	defer os.Remove(path) //nolint:errcheck // an example
	client, err := resilience.New(resilience.Config{
		Service:      "users",
		Nodes:        selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080"),
		SettingsFrom: settingsfile.File(path),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close() //nolint:errcheck // an example
	fmt.Println(client.Settings().Ejection.MaxShare)
	// Output: 0.3
}

// Every problem has its file, line and field.
func ExampleParse() {
	_, err := settingsfile.Parse("users.yaml", []byte("attempts: 3\nattemptTimeout: 250\nejection:\n  exces: 0.5\n"))
	fmt.Println(err)
	// Output:
	// users.yaml:2: attemptTimeout 250: want a duration with its unit, such as "250ms"
	// users.yaml:4: ejection.exces: unknown field; want one of off, ignoreSilence, falseAlarm, excess, baseline, maxShare, burst
}
