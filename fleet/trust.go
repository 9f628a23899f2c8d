package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// NameTrust returns what a record calls a list of roots: the same for the same
// list, so that a request which is sent again makes no second record.
func NameTrust(list string) UUID {
	sum := sha256.Sum256([]byte(list))
	return NewUUIDv5(recordSpace, "trust/"+hex.EncodeToString(sum[:]))
}

// TrustRoot is one of the fleet's roots.
type TrustRoot struct {
	Name  string    `json:"name" doc:"SHA-256 of its certificate, hexadecimal"`
	Until time.Time `json:"until" doc:"when it ends"`
}

// TrustNode is what one node trusts, and by what others trust it.
type TrustNode struct {
	ID   UUID   `json:"id"`
	Name string `json:"name"`
	Role Role   `json:"role"`
	// Number is that of the list of roots that it follows; 0 where a person gave it
	// its roots.
	Number int64    `json:"number"`
	Trusts []string `json:"trusts" doc:"names of the roots that it trusts"`
	// Root is the one that its certificate is of, empty where that is not known.
	Root  string    `json:"root,omitempty" doc:"name of the root that its certificate is of"`
	Until time.Time `json:"until,omitzero" doc:"when its certificate ends"`
	// Issuer is the CA that it holds, and IssuerRoot the root which that is of.
	Issuer     string `json:"issuer,omitempty" doc:"certificate of the CA that it holds, PEM"`
	IssuerRoot string `json:"issuer_root,omitempty" doc:"name of the root that this CA is of"`
	// Error is why it could not be asked.
	Error string `json:"error,omitempty" doc:"why it could not be asked"`
	// GivenUp is why it need not be waited for.
	GivenUp string `json:"given_up,omitempty" doc:"why it need not be waited for: declared dead, left or revoked"`
}

// TrustReport is which roots a fleet trusts, and how far its nodes have come with
// them. Number, Roots and CA are those of the node that was asked.
type TrustReport struct {
	Fleet  string      `json:"fleet"`
	Number int64       `json:"number" doc:"of the list of roots that is followed; 0: the roots are those of each node's file"`
	Roots  []TrustRoot `json:"roots" doc:"that are trusted; certificates are to be of the first"`
	CA     string      `json:"ca" doc:"the roots, and the list that says so, PEM"`
	Nodes  []TrustNode `json:"nodes"`
}

// Hinders says, for each node that would be cut off if the fleet went on to these
// roots, why: certificates are to be of the first, and those that are not named
// are dropped. A node that cannot be asked hinders nothing but that the root of
// its certificate is dropped: it hears of the others when it is back.
func (r *TrustReport) Hinders(next []string) []string {
	drops := slices.ContainsFunc(r.Roots, func(root TrustRoot) bool { return !slices.Contains(next, root.Name) })
	turns := len(r.Roots) > 0 && len(next) > 0 && r.Roots[0].Name != next[0]
	var why []string
	for i := range r.Nodes {
		n := &r.Nodes[i]
		says := func(what string) { why = append(why, fmt.Sprintf("%s %s %s", n.Role, n.Name, what)) }
		switch {
		case n.GivenUp != "":
		case n.Error != "" && drops && (n.Root == "" || !slices.Contains(next, n.Root)):
			says("cannot be asked, and is not known to have a certificate of a root that stays: " + n.Error)
		case n.Error != "":
		case (drops || turns) && !slices.Contains(n.Trusts, next[0]):
			says("does not trust root " + ShortRoot(next[0]) + " yet")
		case drops && !slices.Contains(next, n.Root):
			says("has a certificate of root " + ShortRoot(n.Root))
		case drops && n.IssuerRoot != "" && !slices.Contains(next, n.IssuerRoot):
			says("issues by a CA of root " + ShortRoot(n.IssuerRoot))
		}
	}
	return why
}

// ShortRoot is as much of a root's name as people need to tell it from another.
func ShortRoot(name string) string { return name[:min(len(name), 12)] }

// ChangeTrust asks to have a list of roots followed.
type ChangeTrust struct {
	Trust string `json:"trust" doc:"list of roots, PEM, signed by a root that is trusted: grapevine tls rotate makes it"`
	// Force cuts off who is not ready.
	Force  bool   `json:"force,omitempty" doc:"also where that cuts off nodes which are not ready for it"`
	Reason string `json:"reason" doc:"why, in a few words; it is shown to everybody"`
	// By is who asked a registry, which alone may say so.
	By string `json:"by,omitempty" doc:"set by a registry that passes a request on; nobody else may"`
}
