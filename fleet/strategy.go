package fleet

// Strategy is which of the hosts that fit is proposed for an instance.
type Strategy string

// The strategies. Spread keeps load even: the host that would have most left.
// Pack keeps hosts empty: the host that would have least memory left.
const (
	Spread Strategy = "spread"
	Pack   Strategy = "pack"
)
