package memcached

import (
	"cmp"
	"strings"

	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// login is the user and the password of a handle. A handle may have neither: most servers know no logins.
type login struct{ username, password string }

func readLogin(l handle.Location) login {
	user, password, _ := strings.Cut(l.UserInfo, ":")
	optionUser, _ := l.Options.Get("username", "user")
	optionPassword, _ := l.Options.Get("password")
	return login{
		username: cmp.Or(handle.Decoded(user), optionUser),
		password: cmp.Or(handle.Decoded(password), optionPassword),
	}
}

// missing says that the handle has no login.
func (l login) missing() bool { return l == login{} }
