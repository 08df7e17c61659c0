// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// networks measures networks that containers share: starts, what goes through them, names.
func networks(ctx context.Context, es *engines, r *report, n int) error {
	both := []*engine{es.berth, es.podman}
	for _, e := range both {
		if _, err := e.run(ctx, "network", "create", "bench"); err != nil {
			return err
		}
		defer e.run(context.WithoutCancel(ctx), "network", "rm", "-f", "-t", "0", "bench")
	}
	args := []string{"run", "--rm", "--network", "bench", image, "true"}
	got, err := interleave(n, timed(ctx, es.berth, args...), timed(ctx, es.podman, args...))
	if err != nil {
		return err
	}
	r.times("`run --rm --network NAME`, the only container", got[0], got[1], nil)
	r.budget("`run --network NAME`, the only container, of podman", ratio(got[0].median(), got[1].median()), 1.0/4)
	servers := map[*engine]string{}
	for _, e := range both {
		if servers[e], err = serve(ctx, e); err != nil {
			return err
		}
		defer e.run(context.WithoutCancel(ctx), "rm", "-f", "-t", "0", "bench")
	}
	none := []string{"run", "--rm", "--network", "none", image, "true"}
	got, err = interleave(n, timed(ctx, es.berth, args...), timed(ctx, es.podman, args...), timed(ctx, es.berth, none...))
	if err != nil {
		return err
	}
	r.times("`run --rm --network NAME`, beside another", got[0], got[1], nil)
	r.budget("`run --network NAME`, beside another, of podman", ratio(got[0].median(), got[1].median()), 1.0/4)
	r.budget("`run --network NAME`, beside another, of `--network none`", ratio(got[0].median(), got[2].median()), 1.5)

	host, inside := map[*engine]answers{}, map[*engine]answers{}
	for _, e := range both {
		if host[e], err = ask(servers[e]); err != nil {
			return fmt.Errorf("%s: by the published port: %w", e.name, err)
		}
		if inside[e], err = askInside(ctx, e); err != nil {
			return err
		}
	}
	for _, x := range []struct {
		what string
		of   map[*engine]answers
	}{{"by a published port", host}, {"from container to container", inside}} {
		b, p := x.of[es.berth], x.of[es.podman]
		r.times(fmt.Sprintf("%d MiB over TCP %s", bulk>>20, x.what), samples{b.Bulk}, samples{p.Bulk}, nil)
		r.times(fmt.Sprintf("%d connections, 4 at a time, %s", connections, x.what), samples{b.Connections}, samples{p.Connections}, nil)
		r.times(fmt.Sprintf("%d datagrams there and back %s", datagrams, x.what), samples{b.Datagrams}, samples{p.Datagrams}, nil)
	}
	b, p := inside[es.berth], inside[es.podman]
	r.times("answer to the question for a name, 4 at a time", b.Names, p.Names, nil)
	return nil
}

// crowd starts and removes containers on ten networks.
func crowd(ctx context.Context, es *engines, r *report, count int) error {
	const nets = 10
	start, end := map[*engine]time.Duration{}, map[*engine]time.Duration{}
	for _, e := range []*engine{es.berth, es.podman} {
		for i := range nets {
			if _, err := e.run(ctx, "network", "create", fmt.Sprint("bench", i)); err != nil {
				return err
			}
		}
		begun := time.Now()
		for i := range count {
			if _, err := e.run(ctx, "run", "-d", "--network", fmt.Sprint("bench", i%nets), image, "sleep", "3600"); err != nil {
				return err
			}
		}
		start[e] = time.Since(begun)
		var err error
		if end[e], err = e.run(ctx, "rm", "-fa", "-t", "0"); err != nil {
			return err
		}
		if _, err := e.run(ctx, "network", "prune", "-f"); err != nil {
			return err
		}
	}
	r.aThird(fmt.Sprintf("start of %d containers on %d networks", count, nets), samples{start[es.berth]}, samples{start[es.podman]})
	r.aThird(fmt.Sprintf("`rm -fa` of %d containers on %d networks", count, nets), samples{end[es.berth]}, samples{end[es.podman]})
	return nil
}

// What goes through a network.
const (
	bulk        = 1 << 30
	connections = 2000
	datagrams   = 5000
	servicePort = "7000"
)

// answers are what a client of the service has measured.
type answers struct {
	Bulk, Connections, Datagrams time.Duration
	Names                        samples
}

// serve starts a container named bench that has the service, which is this program; it returns the address on the host.
func serve(ctx context.Context, e *engine) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	at := l.Addr().String()
	l.Close()
	port := at + ":" + servicePort
	_, err = e.run(ctx, "run", "-d", "--name", "bench", "--network", "bench", "-p", port, "-p", port+"/udp",
		"-v", filepath.Dir(self)+":/program:ro", image, "/program/"+filepath.Base(self), "service")
	for until := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if c, failed := net.Dial("tcp", at); failed == nil {
			_, failed = c.Write([]byte("0\n"))
			_, worse := c.Read(make([]byte, 1))
			c.Close()
			if failed == nil && worse != nil && strings.Contains(worse.Error(), "EOF") {
				break
			}
		}
	}
	return at, err
}

func askInside(ctx context.Context, e *engine) (a answers, err error) {
	self, err := os.Executable()
	if err != nil {
		return a, err
	}
	out, _, err := e.output(ctx, "run", "--rm", "--network", "bench", "-v", filepath.Dir(self)+":/program:ro", image, "/program/"+filepath.Base(self), "ask", "bench:"+servicePort)
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal([]byte(out), &a)
}

// service answers a line with a number with as many bytes, and each datagram with itself.
func service() error {
	u, err := net.ListenPacket("udp", ":"+servicePort)
	if err != nil {
		return err
	}
	go func() {
		buf := make([]byte, 1<<16)
		for {
			if n, from, err := u.ReadFrom(buf); err == nil {
				_, _ = u.WriteTo(buf[:n], from)
			}
		}
	}()
	l, err := net.Listen("tcp", ":"+servicePort)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			line := make([]byte, 20)
			n, err := c.Read(line)
			if err != nil {
				return
			}
			left, _ := strconv.Atoi(strings.TrimSpace(string(line[:n])))
			block := make([]byte, 1<<18)
			for left > 0 {
				n, err := c.Write(block[:min(left, len(block))])
				if err != nil {
					return
				}
				left -= n
			}
		}()
	}
}

// ask measures what lies between it and the service.
func ask(at string) (a answers, err error) {
	begun := time.Now()
	if err := fetch(at, bulk); err != nil {
		return a, err
	}
	a.Bulk = time.Since(begun)

	begun = time.Now()
	if err := each(connections, func() error { return fetch(at, 1) }); err != nil {
		return a, err
	}
	a.Connections = time.Since(begun)

	c, err := net.Dial("udp", at)
	if err != nil {
		return a, err
	}
	defer c.Close()
	begun = time.Now()
	buf := make([]byte, 1024)
	for range datagrams {
		_ = c.SetDeadline(time.Now().Add(2 * time.Second))
		if _, err := c.Write(buf[:512]); err != nil {
			return a, err
		}
		if _, err := c.Read(buf); err != nil {
			return a, err
		}
	}
	a.Datagrams = time.Since(begun)

	host, _, _ := net.SplitHostPort(at)
	if net.ParseIP(host) != nil {
		return a, nil
	}
	var mu sync.Mutex
	err = each(2000, func() error {
		begun := time.Now()
		_, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip4", host)
		mu.Lock()
		a.Names = append(a.Names, time.Since(begun))
		mu.Unlock()
		return err
	})
	return a, err
}

// each calls do count times, four at a time.
func each(count int, do func() error) error {
	var all sync.WaitGroup
	failed := make(chan error, 4)
	for range 4 {
		all.Go(func() {
			for range count / 4 {
				if err := do(); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

func fetch(at string, size int) error {
	c, err := net.Dial("tcp", at)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintln(c, size); err != nil {
		return err
	}
	buf := make([]byte, 1<<18)
	for size > 0 {
		n, err := c.Read(buf)
		if err != nil {
			return fmt.Errorf("%d bytes are missing: %w", size, err)
		}
		size -= n
	}
	return nil
}

// within is what the bench does in a container: the service, or to ask it.
func within(args []string) error {
	if args[0] == "service" {
		return service()
	}
	a, err := ask(args[1])
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(a)
}
