package mesh

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"grapevine/fleet"
)

const (
	// keyRounds is how often members that stay silent are asked: a query and
	// its answer are single packets, and either may be lost.
	keyRounds = 4
	// filterAtMost is how many silent members a query can name within Serf's
	// limit of 1,024 bytes; more are asked by asking all again, which does
	// nothing to those that have done it.
	filterAtMost = 16
	// The types of Serf's messages that key queries are made of.
	keyRequestType, keyResponseType = 7, 8
	// newKeyBytes is the length of keys that are drawn here: AES-256.
	newKeyBytes = 32
)

// keyRequest and keyResponse are what Serf's key queries carry. They are sent
// and read here and not by serf.KeyManager, which does not say who is silent,
// takes no context and does not ask twice; its answers come from the same
// members by the same queries.
type (
	keyRequest  struct{ Key []byte }
	keyResponse struct {
		Result     bool
		Message    string
		Keys       []string
		PrimaryKey string
	}
)

// keyAnswers are the last answers of members, by their names in Serf.
type keyAnswers map[string]keyResponse

// Keys implements gossip.
func (s *serfMembers) Keys(ctx context.Context, change fleet.GossipKeyChange) (fleet.GossipKeyReport, error) {
	sf := s.running()
	if sf == nil {
		return fleet.GossipKeyReport{}, notRunning()
	}
	if !sf.EncryptionEnabled() {
		return fleet.GossipKeyReport{}, &fleet.Error{Code: fleet.CodeUnsupported, Detail: "gossip is not encrypted here: there are no keys"}
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if change.Action == fleet.GossipKeyList {
		return s.listKeys(ctx, sf, nil)
	}
	key, err := s.keyOf(change)
	if err != nil {
		return fleet.GossipKeyReport{}, err
	}
	if change.Action == fleet.GossipKeyUse && !change.Force {
		if err := s.allHold(ctx, sf, key); err != nil {
			return fleet.GossipKeyReport{}, err
		}
	}
	answers, asked, err := askKeys(ctx, sf, string(change.Action)+"-key", key)
	if err != nil {
		return fleet.GossipKeyReport{}, err
	}
	report, err := s.listKeys(ctx, sf, keyErrors(answers, asked))
	report.Changed = fleet.GossipKeyFingerprint(key)
	return report, err
}

// keyOf reads the key that a change is about.
func (s *serfMembers) keyOf(change fleet.GossipKeyChange) ([]byte, error) {
	if !slices.Contains([]fleet.GossipKeyAction{fleet.GossipKeyInstall, fleet.GossipKeyUse, fleet.GossipKeyRemove}, change.Action) {
		return nil, invalidKey(fmt.Sprintf("%q is nothing that can be done to a gossip key; use install, use or remove", change.Action))
	}
	if change.Key == "" && change.Action == fleet.GossipKeyInstall {
		key := make([]byte, newKeyBytes)
		_, _ = rand.Read(key) // never fails: it ends the program instead
		return key, nil
	}
	var held []string
	for _, key := range s.ring.GetKeys() {
		print := fleet.GossipKeyFingerprint(key)
		if strings.EqualFold(change.Key, print) {
			return bytes.Clone(key), nil
		}
		held = append(held, print)
	}
	key, err := base64.StdEncoding.DecodeString(change.Key)
	if err != nil || memberlist.ValidateKey(key) != nil {
		return nil, invalidKey(fmt.Sprintf("the key is neither the fingerprint of one that this node holds (%s) nor base64 of 16, 24 or 32 bytes; "+
			"make one with: openssl rand -base64 32", strings.Join(held, ", ")))
	}
	return key, nil
}

func invalidKey(detail string) error { return &fleet.Error{Code: fleet.CodeInvalid, Detail: detail} }

// allHold returns an error unless every member is known to hold the key: one
// that does not would be cut off by its use.
func (s *serfMembers) allHold(ctx context.Context, sf *serf.Serf, key []byte) error {
	answers, asked, err := askKeys(ctx, sf, "list-keys", nil)
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(key)
	var without []string
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if !slices.Contains(answers[name].Keys, text) {
			without = append(without, asked[name])
		}
	}
	if len(without) == 0 {
		return nil
	}
	return &fleet.Error{Code: fleet.CodeConflict, Detail: fmt.Sprintf(
		"%d of %d members do not hold the key %s or did not say (first %s); they would be cut off: install it again first, or force",
		len(without), len(asked), fleet.GossipKeyFingerprint(key), strings.Join(without[:min(3, len(without))], ", "))}
}

// listKeys reports which keys the members hold.
func (s *serfMembers) listKeys(ctx context.Context, sf *serf.Serf, failed []fleet.MemberError) (fleet.GossipKeyReport, error) {
	answers, asked, err := askKeys(ctx, sf, "list-keys", nil)
	if err != nil {
		return fleet.GossipKeyReport{Errors: failed}, err
	}
	report := fleet.GossipKeyReport{Members: len(asked), Answered: len(answers), Errors: failed}
	for _, e := range keyErrors(answers, asked) {
		if !slices.ContainsFunc(failed, func(f fleet.MemberError) bool { return f.ID == e.ID }) {
			report.Errors = append(report.Errors, e)
		}
	}
	slices.SortFunc(report.Errors, func(a, b fleet.MemberError) int { return a.ID.Compare(b.ID) })
	report.Keys = countKeys(answers)
	return report, nil
}

func countKeys(answers keyAnswers) []fleet.GossipKey {
	counts := map[string]*fleet.GossipKey{}
	count := func(text string) *fleet.GossipKey {
		if counts[text] == nil {
			key, _ := base64.StdEncoding.DecodeString(text)
			counts[text] = &fleet.GossipKey{Fingerprint: fleet.GossipKeyFingerprint(key)}
		}
		return counts[text]
	}
	for _, a := range answers {
		for _, key := range a.Keys {
			count(key).Members++
		}
		if a.PrimaryKey != "" {
			count(a.PrimaryKey).Primary++
		}
	}
	keys := make([]fleet.GossipKey, 0, len(counts))
	for _, k := range counts {
		keys = append(keys, *k)
	}
	slices.SortFunc(keys, func(a, b fleet.GossipKey) int {
		return cmp.Or(cmp.Compare(b.Primary, a.Primary), cmp.Compare(b.Members, a.Members), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return keys
}

// keyErrors are the members that refused or were not heard.
func keyErrors(answers keyAnswers, asked map[string]string) []fleet.MemberError {
	var errs []fleet.MemberError
	for name, short := range asked {
		answer, answered := answers[name]
		if answered && answer.Result {
			continue
		}
		id, _ := fleet.ParseUUID(name)
		e := fleet.MemberError{ID: id, Name: short, Error: answer.Message}
		if !answered {
			e.Error = "it did not answer; ask again"
		}
		errs = append(errs, e)
	}
	return errs
}

// askKeys puts one of Serf's key queries to all members alive, and to those
// that stay silent again. It returns the answers, and the short names of those
// asked.
func askKeys(ctx context.Context, sf *serf.Serf, query string, key []byte) (keyAnswers, map[string]string, error) {
	payload, err := encodeKeyRequest(key)
	if err != nil {
		return nil, nil, err
	}
	answers, asked := keyAnswers{}, aliveMembers(sf)
	for range keyRounds {
		var silent []string
		for name := range asked {
			if _, ok := answers[name]; !ok {
				silent = append(silent, name)
			}
		}
		if len(silent) == 0 {
			break
		}
		if len(silent) > filterAtMost {
			silent = nil
		}
		if err := askKeysOnce(ctx, sf, serf.InternalQueryPrefix+query, payload, silent, answers, len(asked)); err != nil {
			return nil, nil, err
		}
	}
	return answers, asked, nil
}

// askKeysOnce puts the query to the members named, or to all, and adds what
// they answer until all have or Serf's time for a query is up.
func askKeysOnce(ctx context.Context, sf *serf.Serf, query string, payload []byte, names []string, answers keyAnswers, all int) error {
	params := sf.DefaultQueryParams()
	params.FilterNodes = names
	response, err := sf.Query(query, payload, params)
	if err != nil {
		return fmt.Errorf("ask members for their gossip keys: %w", err)
	}
	defer response.Close()
	for len(answers) < all {
		select {
		case <-ctx.Done():
			return fmt.Errorf("ask members for their gossip keys: %w", ctx.Err())
		case r, open := <-response.ResponseCh():
			if !open {
				return nil
			}
			answers[r.From] = decodeKeyResponse(r.Payload)
		}
	}
	return nil
}

// aliveMembers returns the short names of all members that are alive, this one
// included, by their names in Serf.
func aliveMembers(sf *serf.Serf) map[string]string {
	alive := map[string]string{}
	for _, m := range sf.Members() {
		if m.Status == serf.StatusAlive {
			alive[m.Name] = m.Tags[tagName]
		}
	}
	return alive
}

func encodeKeyRequest(key []byte) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte(keyRequestType)
	if err := codec.NewEncoder(&b, &codec.MsgpackHandle{}).Encode(keyRequest{Key: key}); err != nil {
		return nil, fmt.Errorf("encode key query: %w", err)
	}
	return b.Bytes(), nil
}

func decodeKeyResponse(payload []byte) keyResponse {
	var r keyResponse
	if len(payload) < 1 || payload[0] != keyResponseType {
		return keyResponse{Message: "its answer is none to a question for keys"}
	}
	if err := codec.NewDecoder(bytes.NewReader(payload[1:]), &codec.MsgpackHandle{}).Decode(&r); err != nil {
		return keyResponse{Message: "its answer cannot be read: " + err.Error()}
	}
	return r
}

// Depart implements gossip.
func (s *serfMembers) Depart(ctx context.Context) error {
	sf := s.running()
	if sf == nil {
		return notRunning()
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("leave the mesh: %w", err)
	}
	s.departed.Store(true)
	if err := sf.Leave(); err != nil {
		return &fleet.Error{Code: fleet.CodeConflict, Detail: "this node is leaving already: " + err.Error()}
	}
	s.tell()
	return nil
}
