package mutants

// noteGuards keep the number of notes below its limit and give each number to one note.
func noteGuards() []guard {
	const file, interleaved = "shared/store/notes.go", "./shared/store TestSaveNote_StalledWriter"
	const random, lost = "./shared/store TestNotes_RandomInterleavings", "./shared/store TestFault33_AnswerLost"
	return []guard{
		{
			name: "notes: a save moves the counter that it read", file: file, test: interleaved,
			from: `"#last = :last AND`, to: `"#last >= :last AND`,
		},
		{
			name: "notes: the limit is a condition of the write", file: file, test: interleaved,
			from: `AND #count < :most"`, to: `AND #count <= :most"`,
		},
		{
			name: "notes: a delete is counted once", file: file, test: random,
			from: `s.t.deletePart(update{key: k, when: "attribute_exists(#pk)"})`, to: `s.t.deletePart(update{key: k})`,
		},
		{
			name: "notes: a save whose response was lost recognises its note", file: file, test: lost,
			from: `return there.Nonce == item.Nonce, nil`, to: `return false, nil`,
		},
		{
			name: "notes: a delete whose response was lost succeeds", file: file, test: lost,
			from: `if !found && n > 1 {`, to: `if !found && n < 1 {`,
		},
		{
			name: "notes: verify compares the counter", file: "shared/store/verify_notes.go",
			test: "./shared/store TestVerify_NoteCounter",
			from: `counter.Count != notes ||`, to: `counter.Count < 0 ||`,
		},
	}
}
