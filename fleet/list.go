package fleet

// Coverage says how much of the fleet an answer rests on.
type Coverage struct {
	Heard int `json:"heard"` // hosts whose block is held and whose agent can be heard
	Known int `json:"known"` // hosts ever heard of and not forgotten
}

// List is a page of rows, ordered, with what it rests on. Next is the marker
// of the following page, absent on the last.
type List[T any] struct {
	Items    []T      `json:"items"`
	Coverage Coverage `json:"coverage"`
	Next     string   `json:"next,omitempty"`
}

// InstanceQuery filters and pages instances; zero fields filter nothing.
type InstanceQuery struct {
	Host    string // id or name
	Project string
	State   Power
	Name    string
	Labels  map[string]string // all must match
	Limit   int               // 0: DefaultPage
	// Marker is the Next of the page before: rows after it are returned.
	Marker string
}
