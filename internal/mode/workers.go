package mode

import (
	"context"
	"fmt"
	"sync"

	"github.com/org/neon-tenants-action/internal/deadline"
)

// Workers counts the run's workers on each server, so that they do not fail each other: if the server has no connection
// left, workers without one wait until others leave, and fewer work there at once until there is room again; while it
// starts, one of them tries to connect for all; and a worker that meets the others' locks can wait until it is alone
// there. Waiting is not the tenant's time. The zero value lets all of them work at once.
type Workers struct {
	// Notice receives a sentence for a server that takes fewer at once. Nil discards it.
	Notice func(text string)
	// Say receives a sentence for a server that takes as many as before. Nil discards it.
	Say func(text string)

	mu      sync.Mutex
	servers map[string]*crew
}

// crew is the workers on one server.
type crew struct {
	active int
	room   room    // for active ones
	alone  bool    // the active one keeps others away
	leader *Worker // tries to connect to the server while it starts, and the others wait; nil: nobody does
	// starting is true while others wait, or have waited, for a leader that has not connected.
	starting bool
	waiting  int           // to be alone: they go first
	changed  chan struct{} // closed when one leaves
}

// Worker is one worker on a server.
type Worker struct {
	all    *Workers
	crew   *crew
	server string
	schema string // that it works in; empty: the whole database
	alone  bool
	gone   bool       // it is not among the active ones
	resume func(bool) // ends the pause of a leader's clock
}

// Enter waits until one more worker may work on the server. The error is the cause of ctx.
func (w *Workers) Enter(ctx context.Context, server string) (*Worker, error) {
	if w == nil {
		w = &Workers{} // nobody else's
	}
	w.mu.Lock()
	if w.servers == nil {
		w.servers = map[string]*crew{}
	}
	c := w.servers[server]
	if c == nil {
		c = &crew{changed: make(chan struct{})}
		w.servers[server] = c
	}
	w.mu.Unlock()
	one := &Worker{all: w, crew: c, server: server}
	return one, one.enter(ctx, c.hasRoom, false)
}

// hasRoom reports whether one more worker may be active. The caller holds the lock.
func (c *crew) hasRoom() bool {
	return !c.alone && c.waiting == 0 && c.room.fits(c.active)
}

// enter waits until may returns true. It calls may under the lock. working says that the worker has done something for
// its tenant already, so that one that is cancelled here has not only waited.
func (o *Worker) enter(ctx context.Context, may func() bool, working bool) (err error) {
	resume := func(bool) {}
	defer func() { resume(working || err == nil) }()
	for waits := false; ; waits = true {
		o.all.mu.Lock()
		if may() {
			o.crew.active++
			o.gone = false
			o.all.mu.Unlock()
			return nil
		}
		changed := o.crew.changed
		o.all.mu.Unlock()
		if !waits {
			resume = deadline.Pause(ctx)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			o.gone = true
			if !working {
				deadline.TurnAway(ctx)
			}
			return fmt.Errorf("wait for other workers of this run: %w", context.Cause(ctx))
		}
	}
}

// leave makes room for others. The caller holds the lock.
func (o *Worker) leave() {
	if o.gone {
		return
	}
	o.gone = true
	o.crew.active--
	if o.alone {
		o.alone, o.crew.alone = false, false
	}
	o.crew.wake()
}

// wake has those that wait look again. The caller holds the lock.
func (c *crew) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Leave ends the worker's work on the server. Calling it again does nothing.
func (o *Worker) Leave() {
	o.all.mu.Lock()
	lifted := !o.gone && o.crew.room.left()
	o.leave()
	o.all.mu.Unlock()
	if lifted {
		o.all.say(o.server + " has room for all workers of this run again")
	}
}

// Others reports whether other workers are on the server.
func (o *Worker) Others() bool {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	return o.crew.active > 1
}

// Yield is for a worker for which the server has no connection left. If others are there, their number becomes the
// server's limit for now (see [room]), or that of the connections that are known to be in use if it is higher: some of
// the others may have none yet. Yield waits until there is room, and returns true: the worker may try again.
func (o *Worker) Yield(ctx context.Context, used int) (again bool, err error) {
	c := o.crew
	o.all.mu.Lock()
	others := c.active > 1
	if others {
		o.leave()
		c.room.refused(max(c.active, used))
	}
	o.all.mu.Unlock()
	if !others {
		return false, nil
	}
	o.all.notice(o.server + " has no room for more connections of this run, which goes on there with fewer at once " +
		"until there is")
	err = o.enter(ctx, c.hasRoom, false)
	return err == nil, err
}

// Alone waits until the worker is the only one on the server, and keeps others away until it leaves. It returns false
// at once if it already was the only one: then the others are not what it waits for.
func (o *Worker) Alone(ctx context.Context) (alone bool, err error) {
	c := o.crew
	o.all.mu.Lock()
	others := !o.alone && (c.active > 1 || c.waiting > 0) // those that wait were there until now
	if others {
		o.leave()
		c.waiting++
	}
	o.all.mu.Unlock()
	if !others {
		return false, nil
	}
	o.all.notice("workers of this run wait for each other's locks on " + o.server +
		": those that have waited too long go on one at a time")
	err = o.enter(ctx, func() bool { return c.active == 0 }, true)
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	c.waiting--
	if err == nil {
		o.alone, c.alone = true, true
	} else if c.waiting == 0 {
		c.wake() // those that it went before
	}
	return err == nil, err
}

func (w *Workers) notice(text string) {
	if w.Notice != nil {
		w.Notice(text)
	}
}

func (w *Workers) say(text string) {
	if w.Say != nil {
		w.Say(text)
	}
}
