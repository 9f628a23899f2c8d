package fleet

import "testing"

func TestAgesAreThoseThatSoManyHostsDoNotExceed(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(100 - i) // unsorted: 100 down to 1
	}
	for _, c := range []struct {
		name string
		ms   []int64
		want Ages
	}{
		{"none", nil, Ages{}},
		{"one", []int64{7}, Ages{Hosts: 1, P50MS: 7, P99MS: 7, MaxMS: 7}},
		{"two", []int64{9, 1}, Ages{Hosts: 2, P50MS: 1, P99MS: 9, MaxMS: 9}},
		{"three", []int64{5, 1, 3}, Ages{Hosts: 3, P50MS: 3, P99MS: 5, MaxMS: 5}},
		{"a hundred", hundred, Ages{Hosts: 100, P50MS: 50, P99MS: 99, MaxMS: 100}},
	} {
		if got := AgesOf(c.ms); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}
