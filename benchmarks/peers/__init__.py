"""thzjax beside other libraries on the same problems, in the same run; `scripts/peers.sh` installs and runs them."""
