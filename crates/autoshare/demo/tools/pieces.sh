#!/bin/sh
# Pieces sold: adds up the sales table, and leaves the sum in sold.md.
total=0
while IFS=, read -r day product pieces revenue; do
    case $pieces in [0-9]*) total=$((total + pieces)) ;; esac
done < data/sales-2026-q1.csv
printf '# Sold\n\nFrom January to March %s pieces were sold.\n' "$total" > sold.md
echo "$total pieces"
