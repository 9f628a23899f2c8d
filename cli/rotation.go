package cli

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
)

// rotation is one step of replacing the fleet's root. What has been done so far is
// in the list of roots that the fleet follows, so a step may be given again.
type rotation struct {
	app         *app
	ctx         context.Context // of one run of the command
	step        string
	dir, reason string
	force       bool

	node    *client.Client
	report  fleet.TrustReport
	trusted []*x509.Certificate // by the fleet, the one first that certificates are to be of
	list    *identity.Trust     // that says so; nil where each node's file does
	hand    []*identity.CA      // whose keys are in dir
	next    *x509.Certificate   // that begin made; nil before

	done stepped
}

func (r *rotation) at(name string) string { return filepath.Join(r.dir, name) }

// open reads what is in dir, and asks the fleet.
func (r *rotation) open(ctx context.Context) error {
	r.ctx = ctx
	var err error
	if r.hand, err = identity.LoadRoots([]string{r.at(caFile), r.at(nextCAFile), r.at(oldCAFile)}, []string{r.at(caKeyFile), r.at(nextCAKeyFile), r.at(oldCAKeyFile)}); err != nil {
		return err
	}
	if _, err = firstRoot(r.at(caFile)); err != nil {
		return err
	}
	if r.next, err = firstRoot(r.at(nextCAFile)); errors.Is(err, fs.ErrNotExist) {
		r.next, err = nil, nil
	}
	if err != nil {
		return err
	}
	if r.node, err = r.app.node(r.ctx); err != nil {
		return err
	}
	if r.report, err = r.node.TrustReport(r.ctx, false); err != nil {
		return err
	}
	if r.trusted, r.list, err = identity.ParseRoots([]byte(r.report.CA), "what the node trusts"); err != nil {
		return err
	}
	if !slices.ContainsFunc(r.hand, func(ca *identity.CA) bool { return r.trusts(ca.Certificate()) }) {
		return fmt.Errorf("%s has the key of no root that fleet %s trusts; give the folder that tls init made for it", r.dir, r.report.Fleet)
	}
	return nil
}

func firstRoot(path string) (*x509.Certificate, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	roots, _, err := identity.ParseRoots(content, path)
	if err != nil {
		return nil, err
	}
	return roots[0], nil
}

func (r *rotation) trusts(root *x509.Certificate) bool {
	return slices.ContainsFunc(r.trusted, root.Equal)
}

func (r *rotation) others(root *x509.Certificate) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(r.trusted), root.Equal)
}

func (r *rotation) begin() error {
	const next = "give the new " + caFile + " to people, look with grapevine tls rotate status, and then: grapevine tls rotate renew"
	if r.next == nil {
		ca, err := identity.NewCA(r.report.Fleet, r.app.now())
		if err != nil {
			return err
		}
		if err := ca.Pair().Write(r.at(nextCAFile), r.at(nextCAKeyFile)); err != nil {
			return err
		}
		r.next, r.hand = ca.Certificate(), append(r.hand, ca)
	}
	if r.trusts(r.next) {
		return r.again(next)
	}
	return r.follow(append(slices.Clone(r.trusted), r.next), next)
}

func (r *rotation) renew() error {
	const next = "look with grapevine tls rotate status until all certificates are of the new root, issue new ones to people, and then: grapevine tls rotate finish"
	if err := r.begun(); err != nil {
		return err
	}
	if r.trusted[0].Equal(r.next) && !r.issuersMissing() {
		return r.again(next)
	}
	return r.follow(append([]*x509.Certificate{r.next}, r.others(r.next)...), next)
}

// begun says that there is no new root, where there is none.
func (r *rotation) begun() error {
	if r.next == nil || !r.trusts(r.next) {
		return errors.New("no rotation of the root is under way that began in this folder; begin one with grapevine tls rotate begin")
	}
	return nil
}

// issuersMissing reports whether a node holds an intermediate that the list does
// not vouch for, as one that was made since.
func (r *rotation) issuersMissing() bool {
	return slices.ContainsFunc(r.report.Nodes, func(n fleet.TrustNode) bool {
		_, is := identity.ParseIssuer([]byte(n.Issuer))
		return is && n.Error == "" && n.IssuerRoot != identity.RootName(r.next) && n.Number == r.report.Number
	})
}

func (r *rotation) finish() error {
	const next = "the old root is good for nothing any more; keep or destroy " + oldCAKeyFile
	if err := r.begun(); err != nil {
		return err
	}
	if !r.trusted[0].Equal(r.next) {
		return errors.New("certificates are still to be of the old root; have them renewed first: grapevine tls rotate renew, or go back: grapevine tls rotate undo")
	}
	if err := r.ownStays(); err != nil {
		return err
	}
	for _, old := range r.others(r.next)[:min(1, len(r.trusted)-1)] {
		if err := identity.WriteWhole(r.at(oldCAFile), identity.CertPEM(old), 0o644, identity.Owner{}); err != nil {
			return err
		}
	}
	var err error
	if len(r.trusted) == 1 {
		err = r.again(next)
	} else {
		err = r.follow([]*x509.Certificate{r.next}, next)
	}
	if err != nil {
		return err
	}
	return r.tidy()
}

// ownStays refuses to drop the root that whoever asks is known by.
func (r *rotation) ownStays() error {
	files := identity.Files{CA: r.app.setting(r.app.cacert, "GRAPEVINE_CACERT"), Cert: r.app.setting(r.app.cert, "GRAPEVINE_CERT"), Key: r.app.setting(r.app.key, "GRAPEVINE_KEY")}
	if files.Cert == "" || r.force {
		return nil
	}
	own, err := identity.Load(files, r.app.now())
	if err != nil {
		return err
	}
	if !own.Root().Equal(r.next) {
		return fmt.Errorf("your own certificate %s is of root %s, which would be dropped; issue another with grapevine tls issue --dir %s --role operator, use it, and give the command again",
			files.Cert, fleet.ShortRoot(identity.RootName(own.Root())), r.dir)
	}
	return nil
}

func (r *rotation) undo() error {
	if err := r.begun(); err != nil {
		return err
	}
	if r.trusted[0].Equal(r.next) {
		if len(r.trusted) == 1 {
			return errors.New("the old root was dropped, and does not come back; begin another rotation: grapevine tls rotate begin")
		}
		return r.follow(append(r.others(r.next), r.next), "look with grapevine tls rotate status until all certificates are of the old root, and give the command again")
	}
	if err := r.follow(r.others(r.next), "nothing; all is as it was before tls rotate begin"); err != nil {
		return err
	}
	return errors.Join(os.Remove(r.at(nextCAFile)), os.Remove(r.at(nextCAKeyFile)))
}

// follow has the fleet follow a list of these roots, under which the first vouches
// for all intermediates.
func (r *rotation) follow(roots []*x509.Certificate, next string) error {
	issuers, err := r.issuers(roots[0])
	if err != nil {
		return err
	}
	text, err := identity.SignTrust(identity.Trust{Fleet: r.report.Fleet, Number: r.report.Number + 1, Roots: roots, Issuers: issuers}, r.hand)
	if err != nil {
		return err
	}
	return r.send(text, next)
}

// again sends the list that is followed: should too few agents hold it, more do.
func (r *rotation) again(next string) error {
	if r.list == nil {
		return errors.New("the nodes' own files say already what this step would have them follow; look with grapevine tls rotate status")
	}
	return r.send(r.list.Text(), next)
}

func (r *rotation) send(text []byte, next string) error {
	done, err := r.node.ChangeTrust(r.ctx, fleet.ChangeTrust{Trust: string(text), Force: r.force, Reason: r.reason})
	if err != nil {
		return err
	}
	list, err := identity.ReadTrust(text)
	if err != nil {
		return err
	}
	r.done = stepped{Step: r.step, Number: list.Number, Roots: shownRoots(list), Holders: len(done.Holders), Next: next}
	return identity.WriteWhole(r.at(caFile), list.PEM(), 0o644, identity.Owner{})
}

// issuers are the intermediates that nodes hold, or held when they were heard last,
// each vouched for by a root.
func (r *rotation) issuers(root *x509.Certificate) ([]*x509.Certificate, error) {
	var held []*x509.Certificate
	add := func(cert *x509.Certificate) {
		if !slices.ContainsFunc(held, func(other *x509.Certificate) bool { return sameKey(other, cert) }) {
			held = append(held, cert)
		}
	}
	for i := range r.report.Nodes {
		n := &r.report.Nodes[i]
		switch cert, is := identity.ParseIssuer([]byte(n.Issuer)); {
		case is:
			add(cert)
		case n.Issuer != "":
			r.app.note("%s %s holds a root as its CA; give it an intermediate: grapevine tls intermediate", n.Role, n.Name)
		}
	}
	if r.list != nil {
		for _, cert := range r.list.Issuers {
			add(cert)
		}
	}
	if len(held) == 0 {
		return nil, nil
	}
	at := slices.IndexFunc(r.hand, func(ca *identity.CA) bool { return ca.Certificate().Equal(root) })
	if at < 0 {
		return nil, fmt.Errorf("the key of root %s is not in %s, and has to vouch for %s", fleet.ShortRoot(identity.RootName(root)), r.dir, plural(len(held), "intermediate CA"))
	}
	out := make([]*x509.Certificate, len(held))
	for i, cert := range held {
		var err error
		if out[i], err = r.hand[at].Recertify(cert, r.app.now()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func sameKey(a, b *x509.Certificate) bool {
	key, ok := a.PublicKey.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && key.Equal(b.PublicKey)
}

// tidy gives the new root's files the usual names. Keys are found by their
// certificates, so it may be cut short anywhere.
func (r *rotation) tidy() error {
	if _, err := os.Lstat(r.at(nextCAKeyFile)); err == nil {
		if err := os.Rename(r.at(caKeyFile), r.at(oldCAKeyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keep the old root's key: %w", err)
		}
		if err := os.Rename(r.at(nextCAKeyFile), r.at(caKeyFile)); err != nil {
			return fmt.Errorf("name the new root's key: %w", err)
		}
	}
	if err := os.Remove(r.at(nextCAFile)); err != nil {
		return fmt.Errorf("remove %s: %w", r.at(nextCAFile), err)
	}
	return nil
}
