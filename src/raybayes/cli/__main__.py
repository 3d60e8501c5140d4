from raybayes.cli import main

if __name__ == "__main__":
    main()
