package transfer

// DespiteOthers copies although somebody else is connected to the source: the test is. The comparison is then the only proof that
// nobody wrote.
func DespiteOthers(m Move) Move {
	m.despiteOthers = true
	return m
}
