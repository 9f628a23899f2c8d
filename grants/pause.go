package grants

import "time"

// Rounds that get into each other's way pause at random, up to firstPause and
// twice as long each time. A round of two questions takes that long or less
// between machines that are near each other.
const (
	firstPause = 10 * time.Millisecond
	maxDoubled = 8
)

// MaxRounds is how many more rounds an asker begins that was outbid.
const MaxRounds = 10

// Pause is how long to wait before another round, when tried have failed. Below
// draws a number from 0 up to, and without, the one that it is given.
func Pause(tried int, below func(int64) int64) time.Duration {
	return time.Duration(below(int64(firstPause << min(tried, maxDoubled))))
}
