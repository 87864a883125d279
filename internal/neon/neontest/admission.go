package neontest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// admit returns why a connection is refused, or "" after setting the real server's names in the startup message. It
// wakes a suspended compute.
func (s *Server) admit(endpointID string, start *startup, from netip.Addr) (refusal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.byDatabase[start.database()]
	var e *endpoint
	if strings.HasPrefix(endpointID, "ep-") {
		if e = s.endpointByID(endpointID); e == nil {
			return unknownMessage
		}
		b = e.branch
	}
	if b == nil {
		b = s.branchOf(start.user()) // Neon knows the endpoint by the host, whatever databases were made with SQL
	}
	if b == nil {
		return unnamedMessage
	}
	if e == nil {
		e = b.endpoint()
	}
	p := b.project
	if e == nil || p.deleted != nil || b.expired(s.clock.now()) {
		return unknownMessage
	}
	limited := !p.settings.AllowedIPs.ProtectedBranchesOnly || b.protected
	switch {
	case p.settings.BlockPublicConnections:
		return blockedMessage
	case limited && !p.settings.AllowedIPs.allow(from):
		return fmt.Sprintf(addressMessage, from)
	case e.disabled:
		return disabledMessage
	case p.quotaExceeded:
		return quotaMessage
	}
	if e.state() != "active" {
		e.wake(s.options.WakeTime)
		return wakingMessage
	}
	if r := b.role(start.user()); r != nil {
		start.set("user", r.real)
	}
	if d := b.database(start.database()); d != nil {
		start.set("database", d.real)
	}
	return ""
}

// branchOf returns the newest branch with an endpoint and a role that the real server knows by that name.
func (s *Server) branchOf(user string) (found *branch) {
	for _, p := range s.projects {
		for _, b := range p.branches {
			has := slices.ContainsFunc(b.roles, func(r *role) bool { return r.real == user })
			if p.deleted == nil && b.endpoint() != nil && has && (found == nil || found.created.Before(b.created)) {
				found = b
			}
		}
	}
	return found
}

func (s *Server) endpointByID(id string) *endpoint {
	for _, p := range s.projects {
		if e := p.endpoint(id); e != nil {
			return e
		}
	}
	return nil
}

// allow reports whether an address may connect. An empty list allows all.
func (a *allowedIPs) allow(from netip.Addr) bool {
	if len(a.IPs) == 0 {
		return true
	}
	for _, entry := range a.IPs {
		if contains, err := parseRange(entry); err == nil && contains(from) {
			return true
		}
	}
	return false
}

// parseRange reads an address, a network (10.0.0.0/8) or a range (10.0.0.1-10.0.0.9).
func parseRange(entry string) (contains func(netip.Addr) bool, err error) {
	if first, last, ok := strings.Cut(entry, "-"); ok {
		low, err1 := netip.ParseAddr(strings.TrimSpace(first))
		high, err2 := netip.ParseAddr(strings.TrimSpace(last))
		return func(a netip.Addr) bool { return low.Compare(a) <= 0 && a.Compare(high) <= 0 }, errors.Join(err1, err2)
	}
	if strings.Contains(entry, "/") {
		network, err := netip.ParsePrefix(entry)
		return network.Contains, err
	}
	address, err := netip.ParseAddr(entry)
	return func(a netip.Addr) bool { return a == address }, err
}
