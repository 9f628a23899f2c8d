package journal

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// joinTokensKey is where the meta bucket has the join tokens that can be used.
var joinTokensKey = []byte("join_tokens")

// JoinTokens reads the join tokens that this agent made into out; none leave it
// as it is.
func (j *Journal) JoinTokens(out any) error {
	return j.db.View(func(tx *bbolt.Tx) error {
		data := tx.Bucket(metaBucket).Get(joinTokensKey)
		if data == nil {
			return nil
		}
		if err := json.Unmarshal(data, out); err != nil {
			return fmt.Errorf("read join tokens: %w", err)
		}
		return nil
	})
}

// SetJoinTokens writes them, all at once.
func (j *Journal) SetJoinTokens(tokens any) error {
	return j.update(func(tx *bbolt.Tx) error { return putJSON(tx.Bucket(metaBucket), joinTokensKey, tokens) })
}
