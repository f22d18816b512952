package ldaptest

import (
	"errors"
	"net"
	"strings"
	"sync"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// Front stands in front of a directory and passes on what is said. It can count,
// cut connections, and bind by the names of Active Directory.
type Front struct {
	Address string
	URL     string

	listener net.Listener
	to       string
	names    map[string]string // user@domain and DOMAIN\user in lower case: DN

	mu    sync.Mutex
	conns []net.Conn
	made  int
	group sync.WaitGroup

	once sync.Once
	err  error // of Close
}

// NewFront passes connections on to the server at address. Names that are bound
// become DNs.
func NewFront(address string, names map[string]string) (*Front, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Front{Address: l.Addr().String(), URL: "ldap://" + l.Addr().String(), listener: l, to: address, names: names}
	f.group.Go(f.accept)
	return f, nil
}

// Made is how many connections there were.
func (f *Front) Made() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made
}

// Cut ends all connections.
func (f *Front) Cut() {
	f.mu.Lock()
	conns := f.conns
	f.conns = nil
	f.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // the other side may have done so
	}
}

// Close ends it all. It may be called twice.
func (f *Front) Close() error {
	f.once.Do(func() {
		f.err = f.listener.Close()
		f.Cut()
		f.group.Wait()
	})
	return f.err
}

func (f *Front) accept() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", f.to)
		if err != nil {
			_ = client.Close() // as if nobody listened
			continue
		}
		f.mu.Lock()
		f.conns = append(f.conns, client, server)
		f.made++
		f.mu.Unlock()
		f.group.Go(func() { f.pass(client, server, f.rename) })
		f.group.Go(func() { f.pass(server, client, func(*ber.Packet) {}) })
	}
}

func (f *Front) pass(from, to net.Conn, change func(*ber.Packet)) {
	defer func() { _ = errors.Join(from.Close(), to.Close()) }() // the other direction may have done so
	for {
		p, err := ber.ReadPacket(from)
		if err != nil {
			return
		}
		change(p)
		if _, err := to.Write(p.Bytes()); err != nil {
			return
		}
	}
}

// rename puts a DN in place of the name of a bind request.
func (f *Front) rename(p *ber.Packet) {
	const bindRequest = 0
	if len(p.Children) < 2 || p.Children[1].ClassType != ber.ClassApplication || p.Children[1].Tag != bindRequest {
		return
	}
	bind := p.Children[1]
	name, _ := bind.Children[1].Value.(string)
	dn, ok := f.names[strings.ToLower(name)]
	if !ok {
		return
	}
	renamed := ber.Encode(ber.ClassApplication, ber.TypeConstructed, bindRequest, nil, "bind")
	renamed.AppendChild(bind.Children[0])
	renamed.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, dn, "name"))
	renamed.AppendChild(bind.Children[2])
	id := p.Children[0]
	*p = *ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "message")
	p.AppendChild(id)
	p.AppendChild(renamed)
}
