package mesh

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"grapevine/internal/sockets"
	"grapevine/mesh/serfrpc"
)

// minSecret is how long the secret of the serf command must be.
const minSecret = 16

// CheckSerfRPC judges where the stock serf command is answered: an address of
// loopback, for its protocol is not encrypted.
func CheckSerfRPC(address string) error {
	host, port, err := splitPort(address)
	if err != nil || port == 0 && host == "" {
		return fmt.Errorf("serf_rpc is %q, which is not of the form host:port; the stock serf command looks for 127.0.0.1:7373", address)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("serf_rpc is %q, which other machines can reach or which is no address: the serf command sends its secret and the gossip keys "+
			"unencrypted; set 127.0.0.1:7373, and reach it from elsewhere through ssh -L", address)
	}
	return nil
}

// validateSerfRPC judges address and secret together.
func (c *Config) validateSerfRPC() error {
	if c.SerfRPC == "" {
		return nil
	}
	if err := CheckSerfRPC(c.SerfRPC); err != nil {
		return fmt.Errorf("mesh: %w", err)
	}
	if len(c.SerfRPCSecret) < minSecret {
		return fmt.Errorf("mesh: serf_rpc is on, and its secret has %d characters; serf_rpc_auth must name a file with at least %d (make one with: openssl rand -hex 32), "+
			"for any local user could otherwise make this host leave the mesh", len(c.SerfRPCSecret), minSecret)
	}
	return nil
}

// openSerfRPC binds the address of the serf command, where one is set.
func (s *serfMembers) openSerfRPC() error {
	if s.cfg.SerfRPC == "" {
		return nil
	}
	l, err := sockets.Listen("serf_rpc", s.cfg.SerfRPC)
	if err != nil {
		return err
	}
	s.commands, s.rpc = l, serfrpc.New(commanded{s}, s.cfg.SerfRPCSecret, s.cfg.Log)
	s.logs.tell(s.rpc.Logged)
	return nil
}

// serveCommands answers the serf command until ctx ends.
func (s *serfMembers) serveCommands(ctx context.Context) {
	if err := s.rpc.Serve(ctx, s.commands); err != nil {
		s.cfg.Log.Error("the serf command is answered no longer", "error", err)
	}
}

func closeListener(l net.Listener) {
	if l != nil {
		_ = l.Close()
	}
}

// commanded is what the serf command sees of a member.
type commanded struct{ s *serfMembers }

var _ serfrpc.Backend = commanded{}

func (c commanded) Serf() *serf.Serf { return c.s.running() }

func (c commanded) Join(addr string) error { return c.s.Join(withPort(addr)) }

func (c commanded) Leave(ctx context.Context) error {
	c.s.cfg.Log.Warn("leaving the mesh: the serf command says so")
	return c.s.Depart(ctx)
}

// Keys implements serfrpc.Backend. A key that some members lack is not used:
// the stock tool does not look, and would cut them off.
func (c commanded) Keys(ctx context.Context, action, text string) (serfrpc.KeyAnswer, error) {
	var answer serfrpc.KeyAnswer
	sf := c.s.running()
	if sf == nil {
		return answer, errLeaving
	}
	if !sf.EncryptionEnabled() {
		return answer, errors.New("gossip is not encrypted here: there are no keys")
	}
	c.s.changing.Lock()
	defer c.s.changing.Unlock()
	var key []byte
	if action != "list" {
		var err error
		if key, err = base64.StdEncoding.DecodeString(text); err != nil || memberlist.ValidateKey(key) != nil {
			return answer, errors.New("the key is not base64 of 16, 24 or 32 bytes; make one with: serf keygen")
		}
	}
	if action == "use" {
		if err := c.s.allHold(ctx, sf, key); err != nil {
			return answer, err
		}
	}
	query := action + "-key"
	if action == "list" {
		query = "list-keys"
	}
	answers, asked, err := askKeys(ctx, sf, query, key)
	if err != nil {
		return answer, err
	}
	return toolAnswer(answers, asked)
}

// toolAnswer puts answers as the stock tool expects them.
func toolAnswer(answers keyAnswers, asked map[string]string) (serfrpc.KeyAnswer, error) {
	out := serfrpc.KeyAnswer{Messages: map[string]string{}, Keys: map[string]int{}, NumNodes: len(asked), NumResp: len(answers)}
	for name, a := range answers {
		if a.Message != "" {
			out.Messages[name] = a.Message
		}
		if !a.Result {
			out.NumErr++
		}
		for _, key := range a.Keys {
			out.Keys[key]++
		}
	}
	switch {
	case out.NumErr > 0:
		return out, fmt.Errorf("%d/%d nodes reported failure", out.NumErr, out.NumNodes)
	case out.NumResp < out.NumNodes:
		return out, fmt.Errorf("%d/%d nodes reported success", out.NumResp, out.NumNodes)
	default:
		return out, nil
	}
}
