package mode

import (
	"context"
	"time"

	"github.com/org/neon-tenants-action/internal/deadline"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// startPatience is how long a worker waits for a server that starts, as long as connecting is tried again.
const startPatience = time.Minute

// Connect calls dial with the options. While the server starts up or shuts down, only one of its workers, the leader,
// goes on trying to connect; the others leave until it has succeeded or given up, and then call dial again. None of
// that is the tenant's time.
func (o *Worker) Connect(
	ctx context.Context, options postgres.Options, dial func(postgres.Options) (*postgres.Conn, error),
) (*postgres.Conn, error) {
	var since time.Time
	for {
		follows, over := false, false
		options.Starting = func() bool {
			if since.IsZero() {
				since = time.Now()
			}
			over = time.Since(since) >= startPatience
			follows = !over && !o.leads(ctx)
			return over || follows
		}
		conn, err := dial(options)
		o.settle(err == nil)
		if err == nil || !follows || !postgres.StartingUp(err) {
			return conn, err
		}
		if err := o.follow(ctx); err != nil {
			return nil, err
		}
	}
}

// leads reports whether the worker is its server's leader. It becomes it if there is none.
func (o *Worker) leads(ctx context.Context) bool {
	o.all.mu.Lock()
	c := o.crew
	if c.leader == nil {
		c.leader, o.resume = o, deadline.Pause(ctx)
	}
	is, told := c.leader == o, c.starting
	c.starting = c.starting || !is
	o.all.mu.Unlock()
	if !is && !told {
		o.all.notice(o.server + " is starting up or shutting down: one worker goes on trying to connect, and the others wait")
	}
	return is
}

// settle ends the worker's part as a leader, if it is one.
func (o *Worker) settle(connected bool) {
	o.all.mu.Lock()
	c := o.crew
	was := c.leader == o
	answers := was && connected && c.starting
	if was {
		c.leader = nil
		o.resume(connected)
		c.starting = c.starting && !connected
		c.wake()
	}
	o.all.mu.Unlock()
	if answers {
		o.all.say(o.server + " takes connections again")
	}
}

// follow waits until there is no leader. Those that come meanwhile are not kept from trying once: they would otherwise
// begin to wait for a server that never starts one after another.
func (o *Worker) follow(ctx context.Context) error {
	o.all.mu.Lock()
	o.leave()
	o.all.mu.Unlock()
	c := o.crew
	return o.enter(ctx, func() bool { return c.leader == nil && c.hasRoom() }, false)
}
