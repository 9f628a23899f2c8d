//go:build !linux

package cli

// clockFinding has nobody to ask on other systems, where no agent runs.
func clockFinding() finding {
	return found("clock", "clock", levelWarning, "whether the clock is kept in step can be asked on Linux only", "")
}
