package neontest

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"slices"
)

// The types of the messages that end a connection's beginning.
const (
	backendKeyData = 'K'
	readyForQuery  = 'Z'
)

// passStart passes on what the compute says until it is ready for the first query. In place of the process id and the
// key for cancel requests, which would be alike on many computes, the client gets random ones, as from Neon's proxy.
// It returns these.
func (p *proxy) passStart(client io.Writer, compute io.Reader) (key []byte, err error) {
	for {
		message := make([]byte, 5)
		if _, err := io.ReadFull(compute, message); err != nil {
			return key, err
		}
		body := make([]byte, binary.BigEndian.Uint32(message[1:])-4)
		if _, err := io.ReadFull(compute, body); err != nil {
			return key, err
		}
		if message[0] == backendKeyData {
			own := body
			key = make([]byte, 8)
			_, _ = rand.Read(key) // never fails
			body = key
			binary.BigEndian.PutUint32(message[1:], uint32(len(body)+4))
			p.mu.Lock()
			p.keys[string(key)] = own
			p.mu.Unlock()
		}
		if _, err := client.Write(slices.Concat(message, body)); err != nil || message[0] == readyForQuery {
			return key, err
		}
	}
}

// forget makes a connection's key that of nobody.
func (p *proxy) forget(key []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.keys, string(key))
}
