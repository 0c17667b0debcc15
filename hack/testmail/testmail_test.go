package testmail_test

import (
	"net/smtp"
	"slices"
	"testing"

	"github.com/bindery-dev/bindery/hack/testmail"
)

func TestAServerKeepsWhatItWasSent(t *testing.T) {
	server := testmail.Start(t, nil, "")
	if n := server.Mails(); n != 0 {
		t.Fatalf("it begins with %d mails", n)
	}
	if err := smtp.SendMail(server.Address, nil, "a@example.com", []string{"b@example.com"}, []byte("Subject: x\r\n\r\ny\r\n")); err != nil {
		t.Fatal(err)
	}
	if n := server.Mails(); n != 1 {
		t.Errorf("it has %d mails, want 1", n)
	}
	if commands := server.Commands(); !slices.Contains(commands, "MAIL") || !slices.Contains(commands, "QUIT") {
		t.Errorf("it was sent %v", commands)
	}
}
