package agent_test

import (
	"flag"
	"os"
	"testing"
)

// sideBySide is how many tests run at once unless -parallel says otherwise.
// They wait for each other's agents most of the time, whatever the machine.
const sideBySide = "8"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
