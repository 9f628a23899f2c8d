package mesh

import (
	"context"
	"fmt"
	"log"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"grapevine/fleet"
	"grapevine/mesh/serfrpc"
)

const (
	// rememberFor is how long Serf keeps members that failed or left. Links
	// heal cuts that last longer, from the addresses in the blocks.
	rememberFor = 7 * 24 * time.Hour
	// packetBytes is the size of UDP gossip: from about 14 KB on, a counter in
	// memberlist's compound messages wraps.
	packetBytes = 1400
	// Leaving waits for a broadcast and a little longer for it to spread.
	leaveBroadcast = time.Second
	leaveSpread    = 500 * time.Millisecond
	// reclaimAfter is when a failed member may come back from another address.
	reclaimAfter = time.Second
	// gossipTimeout bounds a join, and with it how long a shutdown may take.
	gossipTimeout = 5 * time.Second
	eventBuffer   = 4096
)

// Failure detection. Somebody probes a killed member after probeInterval on
// average, whatever the fleet's size, and suspects it an interval later. A
// member declares it failed when it has been suspect for
// suspicionMult * max(1, log10(members)) * probeInterval (3.5 s to 10 members,
// 7 s at 100, 14 s at 10,000) and suspicionMult-2 further members have found
// the same by themselves; each interval brings one more. Until they have, it
// waits, for suspicionMaxMult times as long when nobody confirms: a suspicion
// is disproved in a second or two, and when its disproof is lost, which
// answering a probe does not make up for, once it is said again (keepRefuting).
//
// memberlist's defaults (1 s, 4) took 9.5 to 13 s at 100 members, and declared
// live members failed when one packet in ten was lost, as a disproof sent
// 4*log10(n) times by everybody still passed a member by now and then. The
// price is two probes a second in place of one, and half again as much gossip
// about each change; docs/decisions/0005-failure-detection.md has the figures.
const (
	probeInterval = 500 * time.Millisecond
	// probeTimeout is when other ways to a member are tried: three others ask
	// it, and TCP. Below half the interval, the three can still say in time
	// that they asked in vain, and so that not the asking member is at fault.
	probeTimeout     = 200 * time.Millisecond
	suspicionMult    = 7
	suspicionMaxMult = 12
	retransmitMult   = 6
	// As in the LAN profile: what is to be said goes to three others, five times
	// a second.
	gossipNodes    = 3
	gossipInterval = 200 * time.Millisecond
)

// serfMembers is the membership that Serf provides. Serf carries no state of
// the fleet: only who is there, and in tags of at most 64 bytes how to reach
// them.
type serfMembers struct {
	cfg       Config
	transport memberlist.NodeAwareTransport
	bound     string
	advertise string // host:port
	logs      *serfLog

	mu     sync.Mutex // guards serf's creation and end, and alike
	serf   *serf.Serf
	alike  fleet.Alike // which a registry tells others
	events chan serf.Event
	closed bool

	rpc      *serfrpc.Server     // nil: the serf command is not answered
	commands net.Listener        // where it comes in
	ring     *memberlist.Keyring // nil: gossip in the clear
	changing sync.Mutex          // one change of keys at a time
	departed atomic.Bool         // said good bye, and stays away

	changed atomic.Pointer[chan struct{}]

	// settle, where a test sets it, changes the settings before Start.
	settle func(*memberlist.Config)
}

var _ Membership = (*serfMembers)(nil)

// newSerfMembers binds the gossip sockets.
func newSerfMembers(cfg Config) (*serfMembers, error) {
	logs := newSerfLog(cfg.Log)
	transport, bound, err := bindGossip(cfg.GossipBind, logs)
	if err != nil {
		return nil, err
	}
	s, err := serfMembersOn(cfg, transport, bound, logs)
	if err != nil {
		_ = transport.Shutdown()
		return nil, err
	}
	if err := s.openSerfRPC(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// serfMembersOn uses a transport that listens already, at the address bound.
func serfMembersOn(cfg Config, transport memberlist.NodeAwareTransport, bound string, logs *serfLog) (*serfMembers, error) {
	s := &serfMembers{cfg: cfg, transport: transport, bound: bound, logs: logs, events: make(chan serf.Event, eventBuffer)}
	advertise, err := advertised(cfg.GossipAdvertise, bound, transport)
	if err != nil {
		return nil, err
	}
	s.advertise = advertise
	if s.ring, err = loadKeyring(&cfg); err != nil {
		return nil, err
	}
	ch := make(chan struct{})
	s.changed.Store(&ch)
	return s, nil
}

// advertised returns the host:port that others are told.
func advertised(configured, bound string, transport memberlist.NodeAwareTransport) (string, error) {
	_, boundPort, err := net.SplitHostPort(bound)
	if err != nil {
		return "", fmt.Errorf("gossip address %q: %w", bound, err)
	}
	if configured == "" {
		ip, port, err := transport.FinalAdvertiseAddr("", 0)
		if err != nil {
			return "", fmt.Errorf("find an address to advertise for gossip (set it with gossip advertise): %w", err)
		}
		return net.JoinHostPort(ip.String(), strconv.Itoa(port)), nil
	}
	host, port, err := net.SplitHostPort(configured)
	if err != nil {
		host, port = configured, boundPort // an address alone
	}
	if port == "0" || port == "" {
		port = boundPort
	}
	if net.ParseIP(host) == nil {
		ip, err := net.ResolveIPAddr("ip", host)
		if err != nil {
			return "", fmt.Errorf("resolve the advertised gossip address %q: %w", configured, err)
		}
		host = ip.IP.String()
	}
	return net.JoinHostPort(host, port), nil
}

// Start implements membership.
func (s *serfMembers) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errLeaving
	}
	conf, err := s.config()
	if err != nil {
		return err
	}
	s.serf, err = serf.Create(conf)
	if err != nil {
		return fmt.Errorf("start gossip on %s: %w", s.bound, err)
	}
	return nil
}

func (s *serfMembers) config() (*serf.Config, error) {
	logger := log.New(s.logs, "", 0)
	ml := memberlist.DefaultLANConfig()
	ml.Name = s.cfg.ID.String()
	gate := &gate{s.transport, &s.cfg}
	ml.Transport, ml.Alive = gate, gate
	ml.Label = s.cfg.Label
	ml.EnableCompression = false // its LZW would be most of the CPU
	ml.UDPBufferSize = packetBytes
	ml.DeadNodeReclaimTime = reclaimAfter
	ml.TCPTimeout = gossipTimeout
	ml.ProbeInterval, ml.ProbeTimeout = probeInterval, probeTimeout
	ml.SuspicionMult, ml.SuspicionMaxTimeoutMult = suspicionMult, suspicionMaxMult
	ml.RetransmitMult, ml.GossipNodes, ml.GossipInterval = retransmitMult, gossipNodes, gossipInterval
	ml.Logger, ml.LogOutput = logger, nil
	host, port, err := splitPort(s.advertise)
	if err != nil {
		return nil, err
	}
	ml.AdvertiseAddr, ml.AdvertisePort = host, port
	if ml.BindAddr, ml.BindPort, err = splitPort(s.bound); err != nil {
		return nil, err
	}
	ml.Keyring = s.ring
	if s.settle != nil {
		s.settle(ml)
	}
	conf := serf.DefaultConfig()
	conf.Init()
	conf.NodeName = s.cfg.ID.String()
	conf.MemberlistConfig = ml
	conf.Tags = s.tags()
	conf.EventCh = s.events
	if s.ring != nil && s.cfg.KeyringDir != "" {
		conf.KeyringFile = filepath.Join(s.cfg.KeyringDir, keyringFile)
	}
	conf.Logger, conf.LogOutput = logger, nil
	conf.BroadcastTimeout, conf.LeavePropagateDelay = leaveBroadcast, leaveSpread
	conf.ReconnectTimeout, conf.TombstoneTimeout = rememberFor, rememberFor
	// Two processes with one name: links tell a clone from a restart at
	// another address, which Serf's vote cannot.
	conf.EnableNameConflictResolution = false
	return conf, nil
}

func splitPort(addr string) (string, int, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: %w", addr, err)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		return "", 0, fmt.Errorf("address %q: port %q is not a number from 0 to 65535", addr, port)
	}
	return host, n, nil
}

// Run implements membership: it joins, and turns Serf's events into one word,
// changed.
func (s *serfMembers) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.keepJoined(ctx) })
	wg.Go(func() { s.keepRefuting(ctx) })
	if s.ring != nil {
		wg.Go(func() { s.keepKeyring(ctx) })
	}
	if s.rpc != nil {
		wg.Go(func() { s.serveCommands(ctx) })
	}
	told := news{}
	for {
		select {
		case <-ctx.Done():
			if t, ok := s.transport.(*gossipTransport); ok {
				t.interrupt() // a join that is under way
			}
			return nil
		case <-s.serf.ShutdownCh():
			return fmt.Errorf("gossip on %s ended by itself", s.bound)
		case e := <-s.events:
			if !told.any(e) {
				continue
			}
			if s.rpc != nil {
				s.rpc.Event(e)
			}
			s.tell()
		}
	}
}

func (s *serfMembers) tell() {
	ch := make(chan struct{})
	close(*s.changed.Swap(&ch))
}

// Changed implements membership.
func (s *serfMembers) Changed() <-chan struct{} { return *s.changed.Load() }

// Members implements membership.
func (s *serfMembers) Members() []fleet.Member {
	sf := s.running()
	if sf == nil {
		return nil
	}
	known := sf.Members()
	members := make([]fleet.Member, 0, len(known))
	for i := range known {
		if m, ok := memberOf(&known[i]); ok {
			members = append(members, m)
		}
	}
	return members
}

func (s *serfMembers) running() *serf.Serf {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	return s.serf
}

// Leave implements membership. Events go on being taken meanwhile: Serf waits
// for whoever should take them.
func (s *serfMembers) Leave() {
	sf := s.running()
	if sf == nil || !othersAlive(sf) {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := sf.Leave(); err != nil {
			s.cfg.Log.Debug("gossip not left in good order", "error", err)
		}
	}()
	for {
		select {
		case <-done:
			return
		case <-s.events:
		}
	}
}

// othersAlive reports whether there is anyone to say good bye to.
func othersAlive(sf *serf.Serf) bool {
	own := sf.LocalMember().Name
	return slices.ContainsFunc(sf.Members(), func(m serf.Member) bool {
		return m.Name != own && m.Status == serf.StatusAlive
	})
}

// Close implements membership.
func (s *serfMembers) Close() {
	s.mu.Lock()
	sf, closed := s.serf, s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return
	}
	closeListener(s.commands)
	if sf == nil {
		_ = s.transport.Shutdown()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = sf.Shutdown()
	}()
	for {
		select {
		case <-done:
			return
		case <-s.events:
		}
	}
}

// Tell implements teller: it returns once the others are told, or have not
// been within a second.
func (s *serfMembers) Tell(a fleet.Alike) error {
	s.mu.Lock()
	s.alike = a
	sf, tags := s.serf, s.tags()
	s.mu.Unlock()
	if sf == nil {
		return nil // Start does
	}
	if err := sf.SetTags(tags); err != nil {
		return fmt.Errorf("tell members of the tags: %w", err)
	}
	return nil
}

// Addr implements membership.
func (s *serfMembers) Addr() string { return s.bound }

// Advertised implements membership.
func (s *serfMembers) Advertised() string { return s.advertise }
