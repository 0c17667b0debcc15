package rabbitmq

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

func TestTheNameOfAVirtualHost(t *testing.T) {
	for path, want := range map[string][]string{
		"": {"/"}, "/": {"/"}, "//": {"/"}, "/%2f": {"/"}, "/%2F": {"/"}, "/shop": {"shop"}, "/a%20b": {"a b"}, "/a%2Fb": {"a/b"}, "/%zz": {"%zz"},
		"/a/b": {"a/b", "a"}, "/shop/": {"shop/", "shop"}, "//shop": {"/shop"}, "/%2f/messages": {"//messages", "/"},
	} {
		if diff := cmp.Diff(want, vhosts(path)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", path, diff)
		}
	}
}

// Whatever the handle, there is a user and a virtual host to try.
func FuzzReadAccount(f *testing.F) {
	for _, handle := range []string{
		"amqp://a:b@c/d", "amqp://c", "amqp://c//", "amqp://a@c/%2f/x?vhost=y", "host=a;virtualHost=b;username=c;password=d", "amqps://a:%zz@c,d:1/e#f",
	} {
		f.Add(handle)
	}
	f.Fuzz(func(t *testing.T, handle string) {
		to, failed := wire.Parse(v1alpha1.TypeRabbitMQ, handle)
		if failed != nil {
			return
		}
		read := readAccount(to.Location)
		if read.username == "" || read.password == "" || len(read.vhosts) == 0 || len(read.vhosts) > 2 {
			t.Errorf("%q is read as %d virtual hosts", handle, len(read.vhosts))
		}
	})
}
