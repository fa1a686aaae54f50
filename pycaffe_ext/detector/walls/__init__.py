"""The far wall of an artery without learning: where it is (`far_wall`), its two boundaries (`gradients`), and what
makes two maps, of whatever origin, into two curves (`regulariser`)."""
