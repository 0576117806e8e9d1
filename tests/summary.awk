# From the output of `cargo test` to its closing lines: one a suite, and the sum at the end in the plain form that any CI reads.
# A suite without tests is not listed.

# "     Running unittests src/lib.rs (target/debug/deps/proreus_store-0123456789abcdef)"
/^ +Running / { suite = $NF; gsub(/^\(.*\/|-[0-9a-f]+\)$/, "", suite); kind = ($2 == "unittests" ? "" : " " $2); suite = suite kind }
# "   Doc-tests proreus_store"
/^ +Doc-tests / { suite = $2 " documentation" }
/^test result: / {
    passed += $4; failed += $6; skipped += $8
    if ($4 + $6 + $8 > 0) printf "%-48s %s %s passed, %s failed, in %s\n", suite, ($3 == "ok." ? "ok  " : "FAIL"), $4, $6, $NF
}
END { printf "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped }
