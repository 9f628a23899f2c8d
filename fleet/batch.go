package fleet

import "fmt"

// CreateMany is the body of POST /v1/instances: one create, or with a count
// several that differ in their number only.
type CreateMany struct {
	Create
	// Count is how many; 0 for one without a number.
	Count int `json:"count,omitempty" minimum:"1" maximum:"1000" doc:"so many instances NAME-1, NAME-2 and so on, under the keys KEY/1, KEY/2; the answer then has an item for each"`
}

// Validate judges the creates as a person sent them.
func (c *CreateMany) Validate() error {
	if c.Count == 0 {
		return c.Create.Validate()
	}
	if c.Count < 0 || c.Count > MaxBatch {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("count is %d; it must be 1 to %d", c.Count, MaxBatch)}
	}
	for _, nic := range c.Networks {
		if nic.MAC != "" && c.Count > 1 {
			return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("%d instances cannot all have a card with the address %s; leave it out", c.Count, nic.MAC)}
		}
	}
	last := c.Item(c.Count) // its name is the longest
	return last.Validate()
}

// Item returns the i-th create, from 1.
func (c *CreateMany) Item(i int) Create {
	item := c.Create
	item.Name = fmt.Sprintf("%s-%d", c.Name, i)
	return item
}

// BatchKey returns the idempotency key of the i-th create of a batch, from 1;
// empty for a batch without a key.
func BatchKey(key string, i int) string {
	if key == "" {
		return ""
	}
	return fmt.Sprintf("%s/%d", key, i)
}

// Batch is the answer to a create with a count: what became of each.
type Batch struct {
	Items    []BatchItem `json:"items"` // in order
	Accepted int         `json:"accepted"`
	Failed   int         `json:"failed"`
}

// BatchItem is what became of one create. One of Accepted and Problem is there.
type BatchItem struct {
	Name     string       `json:"name"`
	Accepted *Accepted    `json:"accepted,omitempty"`
	Problem  *ItemProblem `json:"problem,omitempty"`
}

// ItemProblem is why an instance was not made, as the document of an error tells it.
type ItemProblem struct {
	Type       string     `json:"type"`
	Title      string     `json:"title"`
	Status     int        `json:"status"`
	Code       Code       `json:"code"`
	Detail     string     `json:"detail"`
	Refusals   []Refusal  `json:"refusals,omitempty"`
	Verdicts   []Verdict  `json:"verdicts,omitempty"`
	Instance   InstanceID `json:"instance,omitzero"`
	Candidates []string   `json:"candidates,omitempty"`
}

// Err returns the error that the document tells.
func (p *ItemProblem) Err() *Error {
	return &Error{Code: p.Code, Detail: p.Detail, Refusals: p.Refusals, Verdicts: p.Verdicts, Instance: p.Instance, Candidates: p.Candidates}
}
