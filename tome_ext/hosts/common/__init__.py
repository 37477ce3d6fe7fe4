"""What every host needs: the encoded texts of a prompt, and refinement in the memory that there is."""
