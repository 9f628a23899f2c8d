package cli

import (
	"fmt"
	"time"

	"grapevine/fleet"
)

// age writes a span of time in its largest unit that fits: 900ms, 3s, 2m, 5h,
// 12d.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

func ageMS(ms int64) string { return age(time.Duration(ms) * time.Millisecond) }

// byteSize writes bytes in binary units with three digits: 512 B, 1.50 KiB,
// 23.4 MiB.
func byteSize(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if value /= 1024; value < 1023.5 {
			break
		}
	}
	switch {
	case value < 9.995:
		return fmt.Sprintf("%.2f %s", value, unit)
	case value < 99.95:
		return fmt.Sprintf("%.1f %s", value, unit)
	default:
		return fmt.Sprintf("%.0f %s", value, unit)
	}
}

// memory writes MiB, as people size machines: 512M, 2G, 1.5G.
func memory(mib int64) string {
	switch {
	case mib < 1024 && mib > -1024:
		return fmt.Sprintf("%dM", mib)
	case mib%1024 == 0:
		return fmt.Sprintf("%dG", mib/1024)
	default:
		return fmt.Sprintf("%.1fG", float64(mib)/1024)
	}
}

func disk(gib int64) string { return fmt.Sprintf("%dG", gib) }

// freeOf writes an account as free of total.
func freeOf(a fleet.Amount, unit func(int64) string) cell {
	c := text(unit(a.Free) + "/" + unit(a.Total))
	if a.Free < 0 {
		c.mood = bad
	}
	return c
}

func count(n int64) string { return fmt.Sprint(n) }

// plural writes a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// moment writes a wall-clock time, in one zone for all readers.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 MST")
}

// reach is how current a row is, with since when it is not.
func reach(r fleet.Reachability, since *time.Time, now time.Time) cell {
	c := cell{string(r), bad}
	switch r {
	case fleet.ReachOK:
		c.mood = good
		return c
	case fleet.ReachSuspect, fleet.ReachHypervisorUnreachable:
		c.mood = uneasy
	case fleet.ReachLeft, fleet.ReachUnreachable:
	}
	if since != nil {
		c.text += " " + age(now.Sub(*since))
	}
	return c
}
